"""Errors that are also of the class that Caffe's own Python module raises in that place."""

from __future__ import annotations

import os
from pathlib import Path

from caffefiles.errors import CaffeError
from caffefiles.files import PathLike


class CaffeRuntimeError(CaffeError, RuntimeError):
    """Raised where pycaffe raises RuntimeError: an unreadable file, arrays that do not fit a MemoryData layer."""


class CaffeValueError(CaffeError, ValueError):
    """Raised where NumPy or pycaffe raise ValueError or a bare Exception: arrays that do not fit."""


def require_file(path: PathLike) -> None:
    """Raise CaffeRuntimeError, with pycaffe's message, unless ``path`` is a file."""
    if not Path(path).is_file():
        raise CaffeRuntimeError(
            f"Could not open file {os.fspath(path)}", f"paths are relative to the working folder, {Path.cwd()}"
        )
