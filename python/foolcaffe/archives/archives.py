"""What archives hold: the members of tars (and of tars in tars), zips and batches, each with its locator.

Archives are read through once, headers only; nothing is extracted, and nothing that a name says is ever used as a path
of the file system.
"""

from __future__ import annotations

import io
import os
import sqlite3
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from foolcaffe.archives import batches
from foolcaffe.archives.sources import MAX_BYTES
from foolcaffe.errors import FoolCaffeError

Member = tuple[bytes, bytes]
"""A member's name and locator (see :mod:`sources`)."""
MAX_MEMBERS = 100_000_000
MAX_NAME = 4096


class _Window(io.RawIOBase):
    """A part of a file as a file, read-only."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file, self._offset, self._size, self._at = file, offset, size, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._at, 0)
        self._file.seek(self._offset + self._at)
        data = self._file.read(left if size is None or size < 0 else min(size, left))
        self._at += len(data)
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def members(path: str, kind: str, number: int, staging: Path) -> Iterator[Member]:
    """The images of an archive, in its order. Batches that cannot be read in place are laid out under ``staging``.

    Args:
        path: the archive.
        kind: from :func:`kind_of`.
        number: its number in locators.
        staging: a folder for what has to be laid out.

    Raises:
        FoolCaffeError: truncated or damaged.
    """
    if kind == "tar":
        yield from _tar(path, number)
    elif kind == "zip":
        yield from _zip(path, number)
    else:
        yield from batches.members(path, number, staging)


def kind_of(path: str) -> str:
    """``tar``, ``zip`` or ``batch``, by content.

    Raises:
        FoolCaffeError: none of these, or not there.
    """
    if not Path(path).is_file():
        raise FoolCaffeError(f"no folder or archive at {path}")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as zipped:
            return "batch" if {"data.npy", "labels.npy"} <= set(zipped.namelist()) else "zip"
    with Path(path).open("rb") as file:
        start = file.read(512)
    if start[257:262] == b"ustar":
        return "tar"
    if start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5":
        return "batch"
    if start.startswith(b"PK\3\4"):
        raise FoolCaffeError(f"{path} is truncated or damaged: a zip ends in its directory", "get it again")
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
        raise FoolCaffeError(
            f"{path} is compressed: its members cannot be reached one by one", "decompress it first (gunzip)"
        )
    raise FoolCaffeError(f"{path} is no archive that is read here", "expected a tar, a zip, or a batch (npz or pickle)")


def _tar(path: str, number: int) -> Iterator[Member]:
    with Path(path).open("rb") as file:
        for count, (name, offset, size) in enumerate(
            _tar_members(file, path, 0, Path(path).stat().st_size, b"", nested=True)
        ):
            if count > MAX_MEMBERS or len(name) > MAX_NAME:
                raise FoolCaffeError(f"{path} has too many members, or too long a name: {name[:80]!r}")
            yield name, b"r%d %d %d" % (number, offset, size)


def _tar_members(
    file: IO[bytes], path: str, base: int, size: int, prefix: bytes, nested: bool
) -> Iterator[tuple[bytes, int, int]]:
    try:
        with tarfile.open(fileobj=_Window(file, base, size), mode="r:", errors="surrogateescape") as tar:
            while True:
                member = tar.next()
                if member is None:
                    break
                tar.members = []  # type: ignore[attr-defined]  # tarfile keeps every header; a million of them is memory
                if not member.isreg() or member.issparse():
                    continue
                name = prefix + member.name.encode("utf-8", "surrogateescape").removeprefix(b"./")
                if nested and name.endswith(b".tar"):
                    # ILSVRC2012_img_train.tar: a tar of a tar for each class; lists name n01440764/n01440764_18.JPEG
                    yield from _tar_members(file, path, base + member.offset_data, member.size, name[:-4] + b"/", False)
                else:
                    yield name, base + member.offset_data, member.size
            end = tar.offset
    except (tarfile.TarError, OSError) as error:  # OSError: a member's size that no file can have
        raise FoolCaffeError(f"{path} is truncated or damaged: {error}", "get it again") from None
    # tarfile takes a header that it cannot read for the end: a whole tar ends in a block of zeros
    file.seek(base + end)
    block = file.read(min(512, max(size - end, 0)))
    if block != bytes(512):
        raise FoolCaffeError(f"{path} is truncated or damaged: no end mark at byte {base + end}", "get it again")


def _zip(path: str, number: int) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(path) as zipped:
            for info in zipped.infolist():
                if info.is_dir():
                    continue
                name = info.filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437", "surrogateescape")
                if len(name) > MAX_NAME:
                    raise FoolCaffeError(f"{path} has too long a name: {name[:80]!r}")
                if info.flag_bits & 1:
                    yield name, b"!encrypted in the zip"
                elif info.file_size > MAX_BYTES:
                    yield name, b"!%d bytes, more than the limit of %d" % (info.file_size, MAX_BYTES)
                else:
                    yield (
                        name,
                        b"z%d %d %d %d %d %d"
                        % (
                            number,
                            info.header_offset,
                            info.compress_size,
                            info.file_size,
                            info.CRC,
                            info.compress_type,
                        ),
                    )
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise FoolCaffeError(f"{path} is truncated or damaged: {error}", "get it again") from None


class Index:
    """Members by name, on disk, so that memory does not grow with the archive. A context manager."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._db = sqlite3.connect(file)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(
            "CREATE TABLE m (archive INTEGER, name BLOB, at BLOB, PRIMARY KEY (archive, name)) WITHOUT ROWID"
        )

    def add(self, archive: int, found: Iterator[Member]) -> None:
        """Take in an archive's members; a name that comes twice is unusable from then on."""
        self._db.executemany(
            "INSERT INTO m VALUES (?, ?, ?) "
            "ON CONFLICT (archive, name) DO UPDATE SET at = CAST('!two members of the archive have this name' AS BLOB)",
            ((archive, name, at) for name, at in found),
        )
        self._db.commit()

    def find(self, archive: int, name: bytes) -> bytes:
        """The locator of a member; one that rejects it if there is no such member."""
        row = self._db.execute("SELECT at FROM m WHERE archive = ? AND name = ?", (archive, name)).fetchone()
        return bytes(row[0]) if row else b"!no such member in the archive"

    def close(self) -> None:
        """Forget everything."""
        self._db.close()
        self._file.unlink(missing_ok=True)
