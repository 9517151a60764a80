"""Records of an LMDB in key order, around and around. Source: ``db_lmdb.cpp``."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import lmdb

from caffefiles.errors import CaffeError
from caffefiles.lmdb_pages import Damaged, Pages

PathLike = Union[str, "os.PathLike[str]"]

# LMDB forbids opening an environment twice in one process; a training and a test net may read the same one
_open: weakref.WeakValueDictionary[str, LmdbReader] = weakref.WeakValueDictionary()


class LmdbReader:
    """A read-only LMDB.

    Args:
        path: its folder.

    Raises:
        CaffeError: it is not there, is no LMDB, or is empty.
    """

    def __new__(cls, path: PathLike) -> LmdbReader:
        """The reader of that path, the one that is open already if there is one."""
        return _open.get(str(Path(path).resolve())) or super().__new__(cls)

    def __init__(self, path: PathLike) -> None:
        key = str(Path(path).resolve())
        if key in _open:
            return
        self.path = os.fspath(path)
        if not Path(path).is_dir():
            raise CaffeError(
                f"there is no LMDB folder {self.path!r}", "build it with convert_imageset, or correct source"
            )
        try:
            self._environment: Any = lmdb.open(self.path, readonly=True, lock=False, readahead=True, max_readers=64)
            self._transaction: Any = self._environment.begin(buffers=True)
        except lmdb.Error as error:
            leveldb = (Path(path) / "CURRENT").is_file()
            raise CaffeError(
                f"{self.path!r} is no readable LMDB: {error}",
                "it is a LevelDB: say backend: LEVELDB" if leveldb else "is it half written, or another format?",
            ) from None
        stat = self._environment.stat()
        needed = (self._environment.info()["last_pgno"] + 1) * stat["psize"]
        size = (Path(path) / "data.mdb").stat().st_size
        if size < needed:  # LMDB maps the file: reading past its end would kill the process
            raise CaffeError(
                f"the LMDB {self.path!r} is cut short: {size} bytes of {needed}", "was the disk full? build it again"
            )
        self.count = int(stat["entries"])
        if not self.count:
            raise CaffeError(f"the LMDB {self.path!r} has no records", "was building it interrupted? build it again")
        info = self._environment.info()
        self._snapshot = (stat["psize"], info["last_pgno"], info["last_txnid"], stat["depth"])
        self._file = (Path(path) / "data.mdb").open("rb", buffering=0)
        weakref.finalize(self, self._file.close)
        _open[key] = self

    def once(self) -> Iterator[tuple[bytes, memoryview]]:
        """Key and value of every record, in key order. A value is valid until the next one is taken.

        LMDB has no checksums, and trusts its pages: they are checked before it sees them. Keys must rise, and as many
        come as the database says it has. What cannot be told is a flipped bit within a value or at a key's end.

        Raises:
            CaffeError: the database is damaged.
        """
        count, before = 0, b""
        try:
            pages = Pages(self._file, *self._snapshot)
            cursor = self._transaction.cursor()
            for records in pages.leaves():
                for _ in range(records):
                    if not (cursor.next() if count else cursor.first()):
                        break
                    key = bytes(cursor.key())
                    if count and key <= before:
                        raise self._damaged(f"the key {key!r} comes after {before!r}")
                    yield key, cursor.value()
                    count, before = count + 1, key
        except (lmdb.Error, Damaged) as error:
            raise self._damaged(str(error)) from None
        if count != self.count:
            raise self._damaged(f"{count} records were found, it says it has {self.count}")

    def _damaged(self, said: str) -> CaffeError:
        return CaffeError(f"the LMDB {self.path!r} is damaged: {said}", "build it again")

    def records(self) -> Iterator[tuple[bytes, memoryview]]:
        """The same without end."""
        while True:
            yield from self.once()
