"""Where an image's bytes lie, and reading them: a file, a part of a tar, a member of a zip, a row of a batch.

A path of a list is put behind ROOT, as ``convert_imageset`` does; where that path meets a file instead of a folder, it
goes on inside the archive. ``data/ILSVRC2012_img_train.tar/`` is thus a ROOT like any folder. Nothing is extracted:
a *locator* says where the bytes lie, and workers read them there.

Locators: ``f`` (the file itself), ``r<a> <offset> <size>`` (a part of archive a), ``z<a> <offset> <packed> <size> <crc>
<method>`` (a zip's member by its local header), ``p<a> <offset> <height> <width>`` (three planes, RGB), ``b…`` (the
same, in the plan's copy of a batch), ``!<reason>``.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foolcaffe.errors import FoolCaffeError

_SMALL = 1 << 15
MAX_PIXELS = 1 << 27
"""134 million; the largest image of ILSVRC2012 has a fifth of it. 400 MB decoded."""
MAX_BYTES = 1 << 28
"""Of a file. The largest of ILSVRC2012 has 15 MB."""


class BadImage(Exception):
    """An image that cannot be stored; the message is the reason."""


class Archive(NamedTuple):
    """A file that holds many images, as it was when the plan was made."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> Archive:
        """Describe the file as it is now."""
        status = Path(path).stat()
        return cls(path, status.st_size, status.st_mtime_ns)


class Fetcher:
    """Reads the bytes that locators name. Archives are opened once, on first use.

    Args:
        root: put before paths as it is, so it ends in a slash.
        archives: those that the locators number.
        staging: the folder of the batches that were laid out, ``batch-<a>``.
    """

    def __init__(self, root: bytes, archives: list[Archive], staging: Path) -> None:
        self._root = root
        self._archives = archives
        self._staging = staging
        self._open: dict[tuple[bytes, int], int] = {}

    def fetch(self, locator: bytes, path: bytes) -> bytes | npt.NDArray[np.uint8]:
        """An image file's bytes; or, of a batch, height × width × 3 of BGR.

        Raises:
            BadImage: it cannot be read, with the reason.
            FoolCaffeError: an archive is not what it was when the plan was made.
        """
        kind = locator[:1]
        if kind == b"f":
            return self._file(self._root + path)
        if kind == b"!":
            raise BadImage(locator[1:].decode("utf-8", "backslashreplace"))
        numbers = [int(n) for n in locator[1:].split(b" ")]
        handle = self._archive(kind, numbers[0])
        if kind == b"r":
            return self._part(handle, numbers[1], numbers[2])
        if kind in (b"p", b"b"):
            _, offset, height, width = numbers
            planes = np.frombuffer(self._part(handle, offset, 3 * height * width), np.uint8).reshape(3, height, width)
            return np.ascontiguousarray(planes[::-1].transpose(1, 2, 0))
        return self._zipped(handle, *numbers[1:])

    def _archive(self, kind: bytes, number: int) -> int:
        if (kind, number) not in self._open:
            archive = self._archives[number]
            path = archive.path
            try:
                if Archive.of(path) != archive:
                    raise FoolCaffeError(f"{path} has changed since the plan was made", "begin again with --restart")
                if kind == b"b":
                    path = str(self._staging / f"batch-{number}")
                self._open[kind, number] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise FoolCaffeError(f"{path} cannot be read: {error.strerror}") from None
        return self._open[kind, number]

    @staticmethod
    def _file(path: bytes) -> bytes:
        try:
            # a pipe or a device under an image's name would block for ever, or never end
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                data = os.read(handle, _SMALL)
                if 0 < len(data) < _SMALL:
                    return data  # one question less for each image of a dataset of small ones
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode):
                    raise BadImage("not a regular file")
                _check_bytes(status.st_size)
                while len(data) < status.st_size:
                    more = os.read(handle, status.st_size - len(data))
                    if not more:
                        break
                    data += more
                return data
            finally:
                os.close(handle)
        except IsADirectoryError:
            raise BadImage("a folder") from None
        except BlockingIOError:
            raise BadImage("not a regular file") from None
        except OSError as error:
            raise BadImage(f"the file cannot be read: {error.strerror}") from None

    @staticmethod
    def _part(handle: int, offset: int, size: int) -> bytes:
        _check_bytes(size)
        try:
            data = os.pread(handle, size, offset)
        except OSError as error:
            raise BadImage(f"the archive cannot be read there: {error.strerror}") from None
        if len(data) != size:
            raise BadImage("the archive ends inside the image")
        return data

    def _zipped(self, handle: int, offset: int, packed: int, size: int, crc: int, method: int) -> bytes:
        _check_bytes(max(packed, size))
        local = self._part(handle, offset, 30)
        if not local.startswith(b"PK\3\4"):
            raise BadImage("the zip is damaged there: no local header")
        name, extra = struct.unpack_from("<HH", local, 26)
        data = self._part(handle, offset + 30 + name + extra, packed)
        if method == 8:
            try:
                data = zlib.decompressobj(-15).decompress(data, size + 1)
            except zlib.error:
                raise BadImage("the zip is damaged there: it does not inflate") from None
        elif method != 0:
            raise BadImage(f"packed by method {method}, which is not read: only stored and deflated members are")
        if len(data) != size or zlib.crc32(data) != crc:
            raise BadImage("the zip is damaged there: wrong checksum")
        return data


def _check_bytes(size: int) -> None:
    if size > MAX_BYTES:
        raise BadImage(f"{size} bytes, more than the limit of {MAX_BYTES}")
