"""The LMDB under construction: opened for one writer, appended to in order, committed about every 1,000 records.

Never with ``writemap``: there a full disk is a SIGBUS. Data is flushed at every commit; the page that points to it is
flushed with the next one (``metasync=False``): a power cut loses the last commit at most, and never the database.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lmdb

from foolcaffe.errors import FoolCaffeError

COMMIT_EVERY = 1000
_REOPEN_EVERY = 32
"""Commits after which the map is dropped: each maps some pages more, which count as memory of the process."""
_PAGE = 4096


def size_needed(records: int, value_bytes: int) -> int:
    """Bytes that a database takes at most: overflow pages for the values, leaves for the longest keys."""
    overflow = -(-(value_bytes + 16) // _PAGE) * _PAGE
    return records * (overflow + 600) + (1 << 20)


class Store:
    """A database being written. A context manager; leaving it on an error forgets what was not committed.

    Args:
        folder: of the database; made if need be.
        records: how many it may come to hold.
        value_bytes: the largest value.

    Raises:
        FoolCaffeError: it cannot be opened; or, from any method, written: then the message names the cause.
    """

    def __init__(self, folder: Path, records: int, value_bytes: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # kept inside the database and mapped by every reader, so it is not simply made huge
        size = size_needed(records, value_bytes) * 5 // 4 + (16 << 20)
        self._size = size
        self._txn: Any = None
        self._pending = self._commits = 0
        self._open()

    def _open(self) -> None:
        try:
            self._env = lmdb.open(str(self.folder), map_size=self._size, metasync=False, lock=False, mode=0o644)
        except lmdb.Error as error:
            raise self._failed(error) from None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._txn is not None:
            self._txn.abort()
        self._env.close()

    def __len__(self) -> int:
        return int(self._env.stat()["entries"])

    def read(self) -> Any:
        """A transaction for reading what was committed; the caller ends it."""
        return self._env.begin(buffers=True)

    def put(self, items: Iterable[tuple[Any, Any]], count: int, append: bool) -> bool:
        """Store records; with ``append`` their keys come after all others.

        Returns:
            whether it is time to commit.
        """
        try:
            if self._txn is None:
                self._txn = self._env.begin(write=True)
            with self._txn.cursor() as cursor:
                _, added = cursor.putmulti(items, append=append, overwrite=True)
        except lmdb.Error as error:
            raise self._failed(error) from None
        if added != count:
            raise FoolCaffeError(f"{self.folder}: {added} of {count} records were stored", "begin again with --restart")
        self._pending += count
        return self._pending >= COMMIT_EVERY

    def commit(self) -> None:
        """Make durable what was put."""
        if self._txn is None:
            return
        txn, self._txn, self._pending = self._txn, None, 0
        try:
            txn.commit()
        except lmdb.Error as error:
            raise self._failed(error) from None
        self._commits += 1
        if self._commits % _REOPEN_EVERY == 0:
            self._env.close()
            self._open()

    def finish(self) -> None:
        """Commit and flush everything."""
        self.commit()
        try:
            self._env.sync(True)
        except lmdb.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> FoolCaffeError:
        return FoolCaffeError(
            f"writing {self.folder} failed: {cause(self.folder / 'data.mdb', error)}",
            "what was committed is kept: run it again and it goes on from there",
        )


def drop(database: Path, paths: set[str]) -> int:
    """Delete the records of some images, named by the path in their key, from a finished database; return how many."""
    with lmdb.open(str(database), map_size=1 << 40) as env, env.begin(write=True) as txn:
        keys = [bytes(key) for key in txn.cursor().iternext(values=False)]
        bad = [key for key in keys if key[9:].decode("utf-8", "replace") in paths]
        for key in bad:
            txn.delete(key)
    return len(bad)


def cause(file: Path, error: Exception) -> str:
    """Why LMDB could not write. It says "Input/output error" for a full disk: the file system knows better."""
    folder = file.parent if file.parent.exists() else file.parent.parent
    size = file.stat().st_size if file.exists() else 0
    import resource  # which Windows does not have

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY and size + (32 << 20) > limit:
        return f"the size limit for files of {limit >> 20} MiB was met (ulimit -f); raise it"
    free = shutil.disk_usage(folder).free
    if free < 64 << 20:
        return f"the disk is full ({free >> 20} MiB free in {folder}); make room"
    status = os.statvfs(folder)
    if status.f_files and status.f_favail < 16:
        return f"the file system of {folder} has no inodes left; remove files"
    if status.f_flag & os.ST_RDONLY:
        return f"the file system of {folder} is read-only (after an error of the disk?)"
    if "quota" in str(error).lower():
        return "the disk quota is used up; make room"
    return f"{error} ({free >> 20} MiB free: the disk or its connection may be failing, or a quota is used up)"


def check_space(folder: Path, records: int, value_bytes: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        FoolCaffeError: with what is free and what is needed.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    need = records * -(-(value_bytes + 16) // _PAGE) * _PAGE
    if free < need:
        raise FoolCaffeError(
            f"not enough space in {folder}: {free >> 20} MiB free, {need >> 20} MiB needed",
            "make room and run it again",
        )
