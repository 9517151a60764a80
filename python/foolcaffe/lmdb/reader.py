"""LMDBs of Datums, read: iterated, or at random by position. Nothing is ever written, not even a lock file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import lmdb

from caffefiles import datum
from caffefiles.files import PathLike
from foolcaffe.errors import FoolCaffeError

_REMAP_EVERY = 4096
"""Records after which the map is dropped: pages that were read count as memory of the process until then."""


class Reader:
    """A database, open for reading. A context manager; ``len()`` counts the records.

    Args:
        database: the folder with ``data.mdb``.

    Raises:
        FoolCaffeError: not there, or no LMDB.
    """

    def __init__(self, database: PathLike) -> None:
        self.path = Path(database)
        self._open()
        self._count = int(self._env.stat()["entries"])

    def _open(self) -> None:
        if not (self.path / "data.mdb").is_file():
            raise FoolCaffeError(f"no LMDB at {self.path}", "expected a folder with data.mdb in it")
        try:
            # Caffe's readers need no lock file either; without one a read-only folder can be read
            self._env: Any = lmdb.open(str(self.path), readonly=True, lock=False, readahead=True)
            self._txn: Any = self._env.begin(buffers=True)
        except lmdb.Error as error:
            raise FoolCaffeError(
                f"{self.path} cannot be opened as an LMDB: {error}", "it was not written to its end: build it again"
            ) from None
        # LMDB maps the file: reading past the end of a truncated one would end the process with SIGBUS
        needed = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        size = (self.path / "data.mdb").stat().st_size
        if size < needed:
            self.close()
            raise FoolCaffeError(
                f"{self.path} is truncated: {size} bytes, {needed} were expected", "remove it and build it again"
            )

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        self._txn.abort()
        self._env.close()

    def items(self, start: bytes = b"") -> Iterator[tuple[bytes, memoryview]]:
        """(key, value) in key order from ``start``; the value is a view, valid until the next is asked for.

        Raises:
            FoolCaffeError: a page is damaged.
        """
        position = start
        skip = False
        try:
            while True:
                cursor = self._txn.cursor()
                more = cursor.set_range(position) if position else cursor.first()
                if more and skip:
                    more = cursor.next()
                count = 0
                while more:
                    key = bytes(cursor.key())
                    yield key, cursor.value()
                    position, skip = key, True
                    count += 1
                    if count == _REMAP_EVERY:
                        break
                    more = cursor.next()
                cursor.close()
                if not more:
                    return
                self.close()
                self._open()
        except lmdb.Error as error:
            raise FoolCaffeError(
                f"{self.path} is damaged after record {position!r}: {error}", "build it again"
            ) from None

    @cached_property
    def keys(self) -> list[bytes]:
        """All keys, in order; read once, without the values."""
        with self._txn.cursor() as cursor:
            return [bytes(key) for key in cursor.iternext(values=False)]

    def value(self, position: int) -> bytes:
        """The serialised Datum at a position in key order, counted from 0.

        Raises:
            FoolCaffeError: no such position.
        """
        if not 0 <= position < len(self):
            raise FoolCaffeError(f"{self.path} has no record {position}", f"expected 0..{len(self) - 1}")
        return bytes(self._txn.get(self.keys[position]))

    def __getitem__(self, position: int) -> datum.Datum:
        """The Datum at a position in key order, counted from 0."""
        return datum.parse(self.value(position))
