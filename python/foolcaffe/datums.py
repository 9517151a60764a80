"""LMDBs of Caffe's ``Datum``, read: counts, keys, pixels, labels. Either engine's."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import lmdb
import numpy as np
import numpy.typing as npt

from foolcaffe.engine import caffe
from foolcaffe.errors import FoolCaffeError, run_cli


@dataclass(frozen=True)
class Record:
    """One image of an LMDB: ``pixels`` is uint8, channels × height × width, BGR."""

    key: str
    label: int
    pixels: npt.NDArray[np.uint8]


class DatumLMDB:
    """An LMDB made by ``convert_imageset``, opened for reading. A context manager; ``len()`` counts the records.

    Args:
        path: the folder that holds ``data.mdb``.

    Raises:
        FoolCaffeError: not there, no LMDB, or empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._datum = caffe.proto.caffe_pb2.Datum  # loads the engine, before any progress bar
        if not (path / "data.mdb").is_file():
            raise FoolCaffeError(f"no LMDB at {path}", "`make lmdb` builds it")
        try:
            # no lock file is written, so that a read-only folder can be read
            self._env = lmdb.open(str(path), readonly=True, lock=False, readahead=False)
            self._txn = self._env.begin(buffers=True)
        except lmdb.Error as error:
            raise FoolCaffeError(
                f"{path} cannot be opened as an LMDB: {error}", "remove it and build it again"
            ) from None
        # LMDB maps the file: reading past the end of a truncated one would end the process with SIGBUS
        needed = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        if (path / "data.mdb").stat().st_size < needed:
            self.close()
            size = (path / "data.mdb").stat().st_size
            raise FoolCaffeError(
                f"{path} is truncated: {size} bytes, {needed} were expected", "remove it and build it again"
            )
        if len(self) == 0:
            self.close()
            raise FoolCaffeError(f"{path} holds no record", "remove it and build it again")

    def __len__(self) -> int:
        return int(self._env.stat()["entries"])

    def __enter__(self) -> DatumLMDB:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; what was read stays valid."""
        self._txn.abort()
        self._env.close()

    def __iter__(self) -> Iterator[Record]:
        """All records in key order, which is Caffe's.

        Raises:
            FoolCaffeError: a damaged page or record, naming the key.
        """
        for key, value in self.items():
            yield self.decode(key, value)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Keys and the serialised Datums, in key order."""
        try:
            with self._txn.cursor() as cursor:
                for key, value in cursor:
                    yield bytes(key).decode("utf-8", "replace"), bytes(value)
        except lmdb.Error as error:
            raise FoolCaffeError(f"{self.path} is corrupt: {error}", "remove it and build it again") from None

    def record(self, number: int) -> Record:
        """The record at a position in key order, counted from 0.

        Raises:
            FoolCaffeError: out of range, or damaged.
        """
        if not 0 <= number < len(self):
            raise FoolCaffeError(f"{self.path} has no record {number}", f"expected 0..{len(self) - 1}")
        for position, (key, value) in enumerate(self.items()):
            if position == number:
                return self.decode(key, value)
        raise FoolCaffeError(f"{self.path} is corrupt: it ends before record {number}", "remove it and build it again")

    def decode(self, key: str, value: bytes) -> Record:
        """Decode one Datum of raw pixels.

        Raises:
            FoolCaffeError: no Datum, JPEG-encoded, or of another size than it says.
        """
        datum = self._datum()
        try:
            datum.ParseFromString(value)
        except Exception as error:  # protobuf's DecodeError; its class differs between protobuf's versions
            raise FoolCaffeError(f"{self.path}: record {key!r} is no Datum: {error}") from None
        shape = (datum.channels, datum.height, datum.width)
        if datum.encoded:
            raise FoolCaffeError(f"{self.path}: record {key!r} holds an encoded image, raw pixels were expected")
        if len(datum.data) != shape[0] * shape[1] * shape[2] or not datum.data:
            raise FoolCaffeError(
                f"{self.path}: record {key!r} holds {len(datum.data)} bytes, "
                f"but says {shape[0]} × {shape[1]} × {shape[2]}"
            )
        return Record(key, int(datum.label), np.frombuffer(datum.data, np.uint8).reshape(shape))


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
