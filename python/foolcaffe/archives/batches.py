"""Batches of the downsampled ImageNet (Chrabaszcz, Loshchilov, Hutter 2017, arXiv:1707.08819), as npz or pickle.

A batch is a dictionary of ``data`` (N × 3·side², uint8; a row is the planes R, G, B) and ``labels`` (1..1000, in the
order of the devkit's ``map_clsloc.txt``, which is not that of the sorted wnids). Members are named 0000000, 0000001, ….
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from caffefiles.files import atomic_path
from foolcaffe.archives import unpickle
from foolcaffe.errors import FoolCaffeError

MAX_BATCH = 1 << 32
"""4 GiB; the largest published batch has 1.6 GB."""
LARGEST_SIDE = 1024


def members(path: str, number: int, staging: Path) -> Iterator[tuple[bytes, bytes]]:
    """(name, locator) of each row. Rows of an uncompressed npz are read in place; others are laid out first.

    Args:
        path: the batch.
        number: its archive number; what is laid out goes to ``staging/batch-<number>``, which locators name as ``b``.
        staging: a folder.

    Raises:
        FoolCaffeError: not such a batch.
    """
    if zipfile.is_zipfile(path):
        count, side, offset = _npz(path, staging / f"batch-{number}")
    else:
        data = _field(unpickle.load(path, MAX_BATCH), "data", path)
        if not isinstance(data, np.ndarray):
            raise FoolCaffeError(f"{path}: 'data' is no array")
        count, side = _check(path, data.shape, data.dtype)
        with atomic_path(staging / f"batch-{number}") as out:
            np.ascontiguousarray(data).tofile(out)
        offset = -1
    kind = b"p" if offset >= 0 else b"b"
    row = 3 * side * side
    for index in range(count):
        yield b"%07d" % index, b"%s%d %d %d %d" % (kind, number, max(offset, 0) + index * row, side, side)


def labels(path: str) -> list[int]:
    """The labels of a batch, as they are in it (1..1000).

    Raises:
        FoolCaffeError: not such a batch.
    """
    if zipfile.is_zipfile(path):
        with np.load(path, allow_pickle=False) as loaded:
            found: Any = loaded["labels"]
    else:
        found = _field(unpickle.load(path, MAX_BATCH), "labels", path)
    array = np.asarray(found).reshape(-1)
    if array.dtype.kind not in "iu":
        raise FoolCaffeError(f"{path}: 'labels' are not whole numbers")
    return [int(v) for v in array]


def _field(loaded: Any, name: str, path: str) -> Any:
    if isinstance(loaded, dict):
        for key in (name, name.encode()):
            if key in loaded:
                return loaded[key]
    raise FoolCaffeError(f"{path} has no {name!r}", "expected a batch of the downsampled ImageNet: data and labels")


def _check(path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int]:
    side = math.isqrt(shape[1] // 3) if len(shape) == 2 else 0
    if len(shape) != 2 or dtype != np.uint8 or shape[1] != 3 * side * side or not 0 < side <= LARGEST_SIDE:
        raise FoolCaffeError(f"{path}: 'data' is {dtype} of shape {shape}", "expected uint8, images × 3·side²")
    return shape[0], side


def _npz(path: str, target: Path) -> tuple[int, int, int]:
    """Images, side, and the offset of the first row in the file itself, or -1 where it had to be laid out."""
    with zipfile.ZipFile(path) as zipped:
        info = zipped.getinfo("data.npy")
        with zipped.open(info) as array:
            shape, fortran, dtype = _header(array, path)
            count, side = _check(path, shape, dtype)
            if fortran:
                raise FoolCaffeError(f"{path}: 'data' is in Fortran order, which no published batch is")
            size = count * 3 * side * side
            if size > MAX_BATCH:
                raise FoolCaffeError(f"{path}: 'data' has {size} bytes, more than the limit of {MAX_BATCH}")
            before = array.tell()
            if info.compress_type == zipfile.ZIP_STORED:
                with Path(path).open("rb") as file:
                    file.seek(info.header_offset + 26)
                    name, extra = np.frombuffer(file.read(4), "<u2")
                if info.file_size - before != size:
                    raise FoolCaffeError(f"{path}: 'data' is cut short")
                return count, side, info.header_offset + 30 + int(name) + int(extra) + before
            with atomic_path(target) as out, out.open("wb") as laid_out:
                left = size
                while left:
                    block = array.read(min(left, 1 << 22))
                    if not block:
                        raise FoolCaffeError(f"{path}: 'data' is cut short")
                    laid_out.write(block)
                    left -= len(block)
    return count, side, -1


def _header(array: IO[bytes], path: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(array)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        return read(array)
    except (ValueError, KeyError) as error:
        raise FoolCaffeError(f"{path}: 'data' is no array: {error}") from None
