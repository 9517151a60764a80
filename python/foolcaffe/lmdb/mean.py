"""The mean image, as ``compute_image_mean`` computes it: a float32 running sum in key order, which rounds past 2²⁴.

Because it rounds, the order of the additions is part of the result: the sum is taken record by record, in key order.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caffefiles import datum
from caffefiles.files import PathLike, atomic_path
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb.reader import Reader


class Sum:
    """A running sum of records of one shape.

    Args:
        channels, height, width: of every record.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        self._shape = (channels, height, width)
        self._begin = len(datum.head(channels, height, width))
        self._size = channels * height * width
        self._sum = np.zeros(self._size, np.float32)
        self._accumulate = _accumulate()
        self._column = self._sum.reshape(-1, 1)
        self.count = 0
        self.whole = True
        """Whether every record was seen, in order."""

    def spoil(self) -> None:
        """Some records were not given, or not in order: the mean must be taken from the database."""
        self.whole = False

    def add(self, values: Iterable[memoryview]) -> None:
        """Add the pixels of serialised Datums, in order."""
        begin, end = self._begin, self._begin + self._size
        for value in values:
            self._accumulate(np.frombuffer(value[begin:end], np.uint8).reshape(-1, 1), self._column)
            self.count += 1

    @property
    def mean(self) -> npt.NDArray[np.float32]:
        """Channels × height × width, 0..255, BGR."""
        mean: npt.NDArray[np.float32] = (self._sum / np.float32(self.count)).astype(np.float32, copy=False)
        return mean.reshape(self._shape)


def of_database(database: PathLike, quiet: bool = False) -> npt.NDArray[np.float32]:
    """The mean of an LMDB of raw Datums of one shape.

    Raises:
        FoolCaffeError: empty, encoded, or records of several shapes.
    """
    from foolcaffe.progress import Progress

    accumulate = _accumulate()
    with Reader(database) as reader, Progress(len(reader), "records", "mean", quiet) as progress:
        total: npt.NDArray[np.float32] | None = None
        for key, value in reader.items():
            pixels = datum.parse(value).pixels
            if total is None:
                shape, total = pixels.shape, np.zeros((pixels.size, 1), np.float32)
            if pixels.shape != shape:
                raise FoolCaffeError(f"{database}: record {key!r} is {pixels.shape}, those before it {shape}")
            accumulate(pixels.reshape(-1, 1), total)
            progress.advance()
    if total is None:
        raise FoolCaffeError(f"{database} holds no record")
    mean: npt.NDArray[np.float32] = (total[:, 0] / np.float32(len(reader))).astype(np.float32, copy=False)
    return mean.reshape(shape)


def _accumulate() -> Any:
    """float32 += uint8, element by element, in one pass."""
    import cv2  # with all that it loads: a builder that computes no mean does without

    return cv2.accumulate


def write(mean: npt.NDArray[np.float32], path: PathLike) -> None:
    """Write a ``mean.binaryproto``, atomically."""
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(datum.blob(mean))
