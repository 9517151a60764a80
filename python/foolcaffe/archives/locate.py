"""From the paths of a list to locators: which of them lie in folders, which inside archives."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from caffefiles import listfile
from foolcaffe.archives import archives
from foolcaffe.archives.sources import Archive
from foolcaffe.errors import FoolCaffeError


class Locator:
    """Finds where paths lead. A context manager, for the index of the archives is a file.

    Args:
        root: put before paths as it is; may lead into an archive.
        staging: a folder of the plan's, for the index and for batches that have to be laid out.
    """

    def __init__(self, root: bytes, staging: Path) -> None:
        self.root = root
        self.archives: list[Archive] = []
        self._staging = staging
        self._numbers: dict[bytes, int] = {}
        self._refused: dict[bytes, bytes] = {}
        self._index: archives.Index | None = None
        self._split = lru_cache(1 << 16)(split)

    def __enter__(self) -> Locator:
        return self

    def __exit__(self, *_: object) -> None:
        if self._index is not None:
            self._index.close()

    def locate(self, path: bytes) -> bytes:
        """The locator of an image; whether a file is there and readable is found out when it is read.

        Raises:
            FoolCaffeError: an archive on the way is damaged, or ROOT leads into something that is not an archive.
        """
        folder, _, name = (self.root + path).rpartition(b"/")
        found = self._split(folder)
        if found is None:
            return b"f"
        archive, inner = found
        if self._index is None:
            self._index = archives.Index(self._staging / "members.sqlite")
        if archive not in self._numbers and archive not in self._refused:
            where = str(Path(os.fsdecode(archive)).absolute())
            try:
                kind = archives.kind_of(where)
            except FoolCaffeError as error:
                if self.root.startswith(archive + b"/"):
                    raise
                # the line names a wrong file; others need not
                self._refused[archive] = b"!" + listfile.show(os.fsencode(error.message)).encode()
            else:
                number = self._numbers[archive] = len(self.archives)
                self.archives.append(Archive.of(where))
                self._index.add(number, archives.members(where, kind, number, self._staging))
        return self._refused.get(archive) or self._index.find(self._numbers[archive], inner + name)


def split(folder: bytes) -> tuple[bytes, bytes] | None:
    """The file that a folder's path runs through, and the rest, ending in a slash; None for a real (or no) folder."""
    if not folder or os.path.isdir(folder):  # noqa: PTH112 - bytes
        return None
    outer, inner = folder, b""
    while outer and outer != b"/" and not os.path.lexists(outer):
        outer, _, name = outer.rpartition(b"/")
        inner = name + b"/" + inner
    return (outer, inner) if os.path.isfile(outer) else None  # noqa: PTH113 - bytes


def check_root(root: str) -> bytes:
    """ROOT as it is put before paths: a slash at its end.

    Raises:
        FoolCaffeError: neither a folder nor in an archive.
    """
    text = os.fsencode(root if root.endswith("/") else root + "/")
    text = os.fsencode(str(Path(os.fsdecode(text)).absolute())).rstrip(b"/") + b"/"
    if not Path(os.fsdecode(text)).is_dir() and split(text.rstrip(b"/")) is None:
        raise FoolCaffeError(f"no folder or archive at {root}")
    return text
