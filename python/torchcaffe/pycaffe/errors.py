"""Errors that are also of the class that Caffe's own Python module raises in that place."""

from __future__ import annotations

from caffefiles.errors import CaffeError


class CaffeRuntimeError(CaffeError, RuntimeError):
    """Where pycaffe raises RuntimeError: a file that cannot be opened, arrays that do not fit a MemoryData layer."""


class CaffeValueError(CaffeError, ValueError):
    """Where NumPy or pycaffe raise ValueError or a bare Exception: arrays that do not fit."""
