"""LMDBs read in key order, around and around, or at random. Nothing is written, not even a lock file.

Pages are read by ``pread`` and checked (:mod:`caffefiles.lmdb_pages`), not mapped: a damaged or cut file is an error
instead of a signal, memory does not grow with what was read, and several readers may open one database.
Source: Caffe's ``db_lmdb.cpp``.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from pathlib import Path

from caffefiles.errors import CaffeError
from caffefiles.files import PathLike
from caffefiles.lmdb_pages import Damaged, Tree


class LmdbReader:
    """A database as its last commit left it when it was opened.

    Attributes:
        path: its folder, as given.
        count: the number of records; ``len()`` gives the same.

    Args:
        path: the folder that holds ``data.mdb``.
        allow_empty: whether a database without records is accepted.

    Raises:
        CaffeError: if there is no database, it is no LMDB, is cut short, or is empty.
    """

    def __init__(self, path: PathLike, allow_empty: bool = False) -> None:
        self.path = os.fspath(path)
        file = Path(path) / "data.mdb"
        if not file.is_file():
            there = Path(path).is_dir()
            leveldb = (Path(path) / "CURRENT").is_file()
            raise CaffeError(
                f"no LMDB at {self.path}: "
                + ("without a data.mdb it is no readable LMDB" if there else f"there is no LMDB folder {self.path!r}"),
                "it is a LevelDB: say backend: LEVELDB" if leveldb else "build it, or correct the path",
            )
        try:
            handle = os.open(file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise CaffeError(f"the LMDB {self.path!r} cannot be opened: {error.strerror}") from None
        weakref.finalize(self, os.close, handle)
        try:
            self._tree = Tree(handle)
        except Damaged as error:
            raise CaffeError(
                f"{self.path!r} is no readable LMDB: {error}",
                "it was not written to its end, or is of another format: build it again",
            ) from None
        size = file.stat().st_size
        if size < self._tree.needed:
            raise CaffeError(
                f"the LMDB {self.path!r} is cut short: {size} bytes of {self._tree.needed}",
                "was the disk full? Remove it and build it again",
            )
        self.count: int = self._tree.count
        if not self.count and not allow_empty:
            raise CaffeError(
                f"the LMDB {self.path!r} has no records", "was building it interrupted? Remove it and build it again"
            )

    def __len__(self) -> int:
        return self.count

    def once(self, start: bytes = b"") -> Iterator[tuple[bytes, memoryview]]:
        """Iterate over key and value of every record from the key ``start`` on, in key order.

        LMDB has no checksums. Every page on the way is checked, keys must rise, and without ``start`` there must be as
        many records as the database says. A flipped bit inside a value or at a key's end goes unnoticed.

        Raises:
            CaffeError: if the database is damaged.
        """
        found, before = 0, None
        try:
            for key, value in self._tree.records(start):
                if before is not None and key <= before:
                    raise Damaged(f"the key {key!r} comes after {before!r}")
                yield key, value
                found, before = found + 1, key
            if not start and found != self.count:
                raise Damaged(f"{found} records were found, it says it has {self.count}")
        except Damaged as error:
            raise self._damaged(error) from None

    def records(self) -> Iterator[tuple[bytes, memoryview]]:
        """Iterate over the records without end."""
        while True:
            yield from self.once()

    def at(self, position: int) -> tuple[bytes, memoryview]:
        """Return key and value of the record at a position in key order, counted from 0.

        Raises:
            CaffeError: if there is no such position, or the database is damaged.
        """
        if not 0 <= position < self.count:
            raise CaffeError(f"{self.path} has no record {position}", f"expected 0..{self.count - 1}")
        try:
            return self._tree.record(position)
        except Damaged as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Damaged) -> CaffeError:
        return CaffeError(f"the LMDB {self.path!r} is damaged: {error}", "build it again")
