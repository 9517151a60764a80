"""Pickles of NumPy arrays, read without running what is in them."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from foolcaffe.errors import FoolCaffeError

_ALLOWED = frozenset(
    {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy.core.numeric", "_frombuffer"),
        ("numpy._core.numeric", "_frombuffer"),
        ("_codecs", "encode"),  # how Python 3 writes bytes at protocol 2
    }
)
_MODERN = {"numpy._core.multiarray": "numpy.core.multiarray", "numpy._core.numeric": "numpy.core.numeric"}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no array needs")
        import numpy as np

        if np.lib.NumpyVersion(np.__version__) < "2.0.0":
            module = _MODERN.get(module, module)
        else:
            module = {old: new for new, old in _MODERN.items()}.get(module, module)
        return super().find_class(module, name)


def load(path: str, limit: int) -> Any:
    """Unpickle a file of plain containers and NumPy arrays.

    Args:
        path: the file.
        limit: the largest size in bytes that is read.

    Raises:
        FoolCaffeError: too large, damaged, or naming anything else: it is refused before that is run.
    """
    with Path(path).open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise FoolCaffeError(f"{path} is larger than {limit} bytes: it is refused")
    try:
        return _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a damaged pickle may raise anything
        raise FoolCaffeError(
            f"{path} is refused as a pickle of arrays: {str(error) or type(error).__name__}",
            "only dictionaries, lists, numbers, strings and NumPy arrays are read",
        ) from None
