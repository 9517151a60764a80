"""New databases, as ``convert_imageset`` writes them. Sources: ``db_lmdb.cpp``, ``db_leveldb.cpp``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import lmdb

from caffefiles import leveldb_reader
from caffefiles.errors import CaffeError
from torchcaffe import log
from torchcaffe.tools.program import CheckError

COMMIT_EVERY = 1000
_MAP_SIZE = 1 << 40


class Writer(ABC):
    """A new database; commits every thousand records and at the end, and says so. A context.

    Args:
        path: of its folder, which must not exist.

    Raises:
        CaffeError: it exists, or cannot be written.
    """

    name: str
    """The backend's name."""
    error: type[Exception]
    """What the backend raises."""

    def __init__(self, path: str) -> None:
        self._path, self._count = path, 0
        self.create()

    @abstractmethod
    def create(self) -> None:
        """Make the database and begin a transaction."""

    @abstractmethod
    def store(self, key: bytes, value: bytes) -> None:
        """Put a record into the transaction."""

    @abstractmethod
    def commit(self, last: bool) -> None:
        """Commit the transaction; begin another unless it is the last."""

    @abstractmethod
    def close(self) -> None:
        """Drop what is not committed, and close."""

    def put(self, key: bytes, value: bytes) -> None:
        """Store a record; a key that is there already gets the new value."""
        try:
            self.store(key, value)
        except self.error as error:
            raise self.fail(error) from None
        self._count += 1
        if self._count % COMMIT_EVERY == 0:
            self._commit(last=False)

    def _commit(self, last: bool) -> None:
        try:
            self.commit(last)
        except self.error as error:
            raise self.fail(error) from None
        log.info("convert_imageset.cpp:153", "Processed %d files.", self._count)

    def fail(self, error: Exception) -> CaffeError:
        """What went wrong."""
        reason = leveldb_reader.reason(error)
        return CaffeError(f"writing the {self.name} {self._path!r} failed: {reason}", "is the disk full?")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None and self._count % COMMIT_EVERY:
                self._commit(last=True)
        finally:
            self.close()


class LmdbWriter(Writer):
    """A new LMDB."""

    name = "LMDB"
    error = lmdb.Error
    _transaction: Any = None

    def create(self) -> None:
        """Make folder and environment."""
        try:
            Path(self._path).mkdir(mode=0o744)
        except OSError as error:
            raise CheckError(
                "db_lmdb.cpp:13",
                f"mkdir(source.c_str(), 0744) == 0 (-1 vs. 0) mkdir {self._path} failed: {error.strerror}",
            ) from None
        try:
            self._environment: Any = lmdb.open(self._path, map_size=_MAP_SIZE, max_dbs=0, mode=0o664)
            self._transaction = self._environment.begin(write=True)
        except lmdb.Error as error:
            raise self.fail(error) from None
        log.info("db_lmdb.cpp:35", "Opened lmdb %s", self._path)

    def store(self, key: bytes, value: bytes) -> None:
        """Into the transaction."""
        self._transaction.put(key, value)

    def commit(self, last: bool) -> None:
        """To the disk."""
        transaction, self._transaction = self._transaction, None
        transaction.commit()
        if not last:
            self._transaction = self._environment.begin(write=True)

    def close(self) -> None:
        """Drop what is not committed, and close."""
        if self._transaction is not None:
            self._transaction.abort()
        self._environment.close()


class LevelDbWriter(Writer):
    """A new LevelDB, with the sizes that Caffe asks for."""

    name = "LevelDB"

    def create(self) -> None:
        """Make the database."""
        plyvel = leveldb_reader.plyvel()
        self.error = plyvel.Error
        sizes = {"write_buffer_size": 1 << 28, "block_size": 1 << 16, "max_open_files": 100}
        try:
            self._db: Any = plyvel.DB(self._path, create_if_missing=True, error_if_exists=True, **sizes)
        except plyvel.Error as error:
            raise CheckError(
                "db_leveldb.cpp:16", f"status.ok() Failed to open leveldb {self._path} {leveldb_reader.reason(error)}"
            ) from None
        self._batch: Any = self._db.write_batch()
        log.info("db_leveldb.cpp:18", "Opened leveldb %s", self._path)

    def store(self, key: bytes, value: bytes) -> None:
        """Into the batch."""
        self._batch.put(key, value)

    def commit(self, last: bool) -> None:
        """To the disk."""
        self._batch.write()
        self._batch = self._db.write_batch()

    def close(self) -> None:
        """Drop what is not committed, and close."""
        self._db.close()


WRITERS: dict[str, type[Writer]] = {"lmdb": LmdbWriter, "leveldb": LevelDbWriter}
"""By the name that ``--backend`` takes."""
