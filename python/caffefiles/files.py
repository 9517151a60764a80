"""Files appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

PathLike = Union[str, "os.PathLike[str]"]


@contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it is flushed to disk and renamed, on failure removed.

    The suffix is kept, for writers that choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp's 0600 would surprise
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def write_text(path: PathLike, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: PathLike, value: Any) -> None:
    """Write JSON atomically, keys in the order given, short lists on one line; NaN is refused, for it is not JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, _FLAT_LIST.sub(_on_one_line, text) + "\n")


_FLAT_LIST = re.compile(r"\[\n[^\[\]{}\"]*\n *\]")
"""A list of numbers, true, false and null, as ``json.dumps`` indents it."""


def _on_one_line(found: re.Match[str]) -> str:
    line = re.sub(r"\s*\n\s*", " ", found[0]).replace("[ ", "[").replace(" ]", "]")
    return line if len(line) <= 100 else found[0]


def fsync_folder(folder: PathLike) -> None:
    """Make a rename in ``folder`` survive a power cut. Windows opens no folders, and needs nothing of the kind."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_at(file: int, size: int, offset: int) -> bytes:
    """Read up to ``size`` bytes at ``offset`` of an open file, from any thread."""
    if hasattr(os, "pread"):
        return os.pread(file, size, offset)
    with _SEEKING:  # Windows
        os.lseek(file, offset, os.SEEK_SET)
        return os.read(file, size)


_SEEKING = threading.Lock()


def sha256(path: PathLike) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
