"""A lock on a file, so that only one process at a time builds or trains in a place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foolcaffe.errors import FoolCaffeError


@contextmanager
def locked(file: Path, what: str, shared: bool = False, error: FoolCaffeError | None = None) -> Iterator[int]:
    """Hold a lock while the block runs. The operating system drops it however the process ends.

    The block gets the file's descriptor: a child process that inherits it keeps the lock after this process has ended.

    Args:
        file: the lock's file; its folder is made. It may be removed by the holder, who then made something else of it.
        what: what is locked, for the message.
        shared: others that ask for a shared lock may hold it too.
        error: raised instead of the default error where another process holds the lock.

    Raises:
        FoolCaffeError: another process holds it, or this is Windows.
    """
    try:
        import fcntl
    except ImportError:
        raise FoolCaffeError(
            f"{what} cannot be locked: this system has no such locks on files as Linux and macOS have",
            "on Windows, build LMDBs, train and run the study in WSL; what was made there is evaluated and fooled here",
        ) from None
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        # opened for writing: over NFS an exclusive lock needs that
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                raise error or FoolCaffeError(
                    f"{what} is being built by another process",
                    "wait until it is done, or end it; two builds into one place would spoil each other",
                ) from None
            try:
                same = os.path.samestat(os.fstat(handle), file.stat())
            except FileNotFoundError:
                same = False
            if not same:  # the holder before us removed the file: ours is no lock any more
                continue
            yield handle
            return
        finally:
            os.close(handle)
