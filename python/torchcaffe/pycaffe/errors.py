"""Errors that are also of the class that Caffe's own Python module raises in that place."""

from __future__ import annotations

from foolcaffe.errors import FoolCaffeError


class CaffeRuntimeError(FoolCaffeError, RuntimeError):
    """Where pycaffe raises RuntimeError: a file that cannot be opened, arrays that do not fit a MemoryData layer."""


class CaffeValueError(FoolCaffeError, ValueError):
    """Where NumPy or pycaffe raise ValueError or a bare Exception: arrays that do not fit."""
