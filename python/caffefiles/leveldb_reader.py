"""Records of a LevelDB in key order, around and around. Source: ``db_leveldb.cpp``.

LevelDB opens for writing only: it locks a database, and rewrites its log, even to read it. What is opened here is
therefore a folder of links to the database's files, which never change once written, with copies of the two small ones
that do. So a database is left as it is, can lie on a read-only disk, and be read by several processes at a time.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from caffefiles.errors import CaffeError, optional, os_error_message

_BLOCK = 1 << 15
"""Bytes of a log's blocks; LevelDB's doc/log_format.md."""
_HEADER = 7
_FULL, _LAST = 1, 4


def plyvel() -> Any:
    """The module that reads and writes LevelDB.

    Raises:
        CaffeError: it is not installed.
    """
    return optional("plyvel", "LevelDB", "plyvel (or convert the data to LMDB, and say backend: LMDB)")


def reason(error: Exception) -> str:
    """What plyvel's exception says: it holds bytes."""
    text = error.args[0] if error.args else error
    return text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else str(text)


class LevelDbReader:
    """A LevelDB to read.

    Args:
        path: its folder.

    Raises:
        CaffeError: it is not there, is no LevelDB, is damaged or empty; or plyvel is not installed.
    """

    def __init__(self, path: str) -> None:
        self.path, self._plyvel = path, plyvel()
        folder = Path(path)
        if not folder.is_dir():
            raise CaffeError(
                f"there is no LevelDB folder {path!r}",
                "build it with convert_imageset --backend leveldb, or correct source",
            )
        if not (folder / "CURRENT").is_file():
            lmdb = (folder / "data.mdb").is_file()
            raise CaffeError(
                f"{path!r} is no LevelDB: it has no file CURRENT",
                "it is an LMDB: say backend: LMDB (--backend lmdb)" if lmdb else "is it another format?",
            )
        self._links = links = tempfile.mkdtemp(prefix="leveldb-")
        try:
            _link(folder, Path(links))
            manifest = Path(links) / (Path(links) / "CURRENT").read_text("utf-8", "replace").strip()
            for file in (manifest, *sorted(Path(links).glob("*.log"))):
                if file.is_file():
                    self._check_log(file)
            # without paranoid_checks a damaged log's records would be left out without a word
            self._db: Any = self._plyvel.DB(links, paranoid_checks=True, max_open_files=100)
        except BaseException as error:
            shutil.rmtree(links)
            if isinstance(error, self._plyvel.Error):
                raise self._damaged(reason(error)) from None
            if isinstance(error, OSError):
                hint = f"it must be readable, and {tempfile.gettempdir()!r} have room for its log"
                raise CaffeError(f"cannot open the LevelDB {path!r}: {os_error_message(error)}", hint) from None
            raise
        self._finalizer = weakref.finalize(self, _close, self._db, links)
        if next(self.once(), None) is None:
            raise CaffeError(f"the LevelDB {path!r} has no records", "was building it interrupted? build it again")

    @cached_property
    def count(self) -> int:
        """How many records there are. LevelDB does not know: this reads them all."""
        return sum(1 for _ in self.once())

    def once(self) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of every record, in key order.

        Raises:
            CaffeError: the database is damaged.
        """
        try:
            with self._db.iterator(verify_checksums=True) as iterator:
                yield from iterator
            # plyvel takes an unreadable last block for the end; coming from there, it says what is wrong
            with self._db.iterator(verify_checksums=True, reverse=True) as iterator:
                next(iterator, None)
        except self._plyvel.Error as error:
            raise self._damaged(reason(error)) from None

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """The same without end."""
        while True:
            yield from self.once()

    def _damaged(self, reason: str) -> CaffeError:
        reason = reason.replace(self._links, self.path).strip(": ")
        return CaffeError(f"the LevelDB {self.path!r} is damaged: {reason}", "build it again")

    def _check_log(self, file: Path) -> None:
        """Refuse a log that is cut short: LevelDB takes that for the writer's death and leaves the last records out."""
        kind, size = _FULL, file.stat().st_size
        with file.open("rb") as log:
            at = 0
            while at < size:
                if _BLOCK - at % _BLOCK < _HEADER:
                    at += _BLOCK - at % _BLOCK
                    continue
                log.seek(at)
                header = log.read(_HEADER)
                at += _HEADER + int.from_bytes(header[4:6], "little")
                kind = header[6] if len(header) == _HEADER else 0
                if at > size or not _FULL <= kind <= _LAST:
                    break
        if at > size or kind not in (_FULL, _LAST):
            raise self._damaged(f"{file.name} is cut short or overwritten (was its writer interrupted?)")


def _link(source: Path, target: Path) -> None:
    """What LevelDB writes to is copied, the rest linked."""
    for file in source.iterdir():
        if file.name == "CURRENT" or file.name.startswith("MANIFEST-"):
            shutil.copyfile(file, target / file.name)
        elif file.suffix in (".ldb", ".sst", ".log"):
            (target / file.name).symlink_to(file.resolve())


def _close(db: Any, links: str) -> None:
    db.close()
    shutil.rmtree(links, ignore_errors=True)
