"""LMDBs of Caffe's ``Datum`` as images: counts, keys, pixels, labels, by either builder."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import lmdb
import numpy as np
import numpy.typing as npt

from caffefiles import datum
from foolcaffe.errors import FoolCaffeError, run_cli
from foolcaffe.lmdb.reader import Reader


@dataclass(frozen=True)
class Record:
    """One image of an LMDB: ``pixels`` is uint8, channels × height × width, BGR."""

    key: str
    label: int
    pixels: npt.NDArray[np.uint8]


class DatumLMDB:
    """An LMDB of images, opened for reading. A context manager; ``len()`` counts the records.

    Args:
        path: the folder that holds ``data.mdb``.

    Raises:
        FoolCaffeError: not there, no LMDB, truncated, or empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = Reader(path)
        if len(self) == 0:
            self.close()
            raise FoolCaffeError(f"{path} holds no record", "remove it and build it again")

    def __len__(self) -> int:
        return len(self._reader)

    def __enter__(self) -> DatumLMDB:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; what was read stays valid."""
        self._reader.close()

    def __iter__(self) -> Iterator[Record]:
        """All records in key order, which is Caffe's.

        Raises:
            FoolCaffeError: a damaged page or record, naming the key.
        """
        for key, value in self._reader.items():
            yield self._decode(key, bytes(value))

    def record(self, number: int) -> Record:
        """The record at a position in key order, counted from 0.

        Raises:
            FoolCaffeError: out of range, or damaged.
        """
        value = self._reader.value(number)
        return self._decode(self._reader.keys[number], value)

    def _decode(self, key: bytes, value: bytes) -> Record:
        name = key.decode("utf-8", "replace")
        try:
            parsed = datum.parse(value)
            return Record(name, parsed.label, parsed.pixels)
        except FoolCaffeError as error:
            raise FoolCaffeError(f"{self.path}: record {name!r}: {error.message}") from None


def drop(database: Path, paths: set[str]) -> int:
    """Delete the records of some images, by the path in their key; how many there were."""
    with lmdb.open(str(database), map_size=1 << 40) as env, env.begin(write=True) as txn:
        keys = [bytes(key) for key in txn.cursor().iternext(values=False)]
        bad = [key for key in keys if key[9:].decode("utf-8", "replace") in paths]
        for key in bad:
            txn.delete(key)
    return len(bad)


def main(arguments: list[str]) -> int:
    """Parse, drop."""
    parser = argparse.ArgumentParser(prog="python -m foolcaffe.datums", description="Edit an LMDB of Datums.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("drop", help="delete the records of the images that a file names")
    command.add_argument("database", type=Path, metavar="LMDB")
    command.add_argument("bad", type=Path, metavar="BAD", help="lines <path><tab><reason>")
    options = parser.parse_args(arguments)
    lines = options.bad.read_text(encoding="utf-8").splitlines()
    drop(options.database, {line.partition("\t")[0] for line in lines})
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.datums")
