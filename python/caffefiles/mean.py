"""The mean image: Caffe's ``mean.binaryproto``, read, computed and written as ``compute_image_mean`` does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from caffefiles.caffemodel import blob_shape
from caffefiles.errors import CaffeError
from caffefiles.files import PathLike
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_binary, save_binary


def read_mean(path: PathLike, hint: str = "") -> npt.NDArray[np.float32]:
    """Read a mean image: float32, channels × height × width, BGR, grey levels.

    Args:
        path: the file.
        hint: how to get one, if the file is missing.

    Raises:
        CaffeError: if it is missing, no BlobProto, of another size than it says, or not finite.
    """
    blob = read_binary(path, caffe_pb2.BlobProto(), "mean image", hint)
    shape = blob_shape(blob)
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    data = np.array(blob.data, np.float32)
    if len(shape) != 3 or data.size == 0 or data.size != np.prod(shape):
        raise CaffeError(
            f"{path} is no mean image: {data.size} values, shape {' × '.join(map(str, shape))}",
            "expected channels × height × width; compute it again",
        )
    if not np.isfinite(data).all():
        raise CaffeError(f"{path} holds values that are not finite", "compute it again from the database")
    return data.reshape(shape)


def write_mean(path: PathLike, mean: npt.NDArray[np.float32]) -> None:
    """Write a mean image, channels × height × width, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    channels, height, width = mean.shape
    blob = caffe_pb2.BlobProto(num=1, channels=channels, height=height, width=width)
    blob.data.extend(mean.ravel().tolist())
    save_binary(path, blob)


class RunningMean:
    """The mean of images as ``compute_image_mean`` computes it: a float32 running sum, which rounds past 2²⁴.

    Because it rounds, the order of the additions is part of the result: add the records in key order.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum: npt.NDArray[np.float32] | None = None

    def add(self, pixels: npt.NDArray[np.uint8 | np.float32]) -> bool:
        """Add an image, channels × height × width; return False, adding nothing, if its size is not the others'."""
        if self._sum is None:
            self._sum = np.zeros(pixels.shape, np.float32)
        if pixels.size != self._sum.size:
            return False
        np.add(self._sum, pixels.reshape(self._sum.shape), out=self._sum, dtype=np.float32, casting="unsafe")
        self.count += 1
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first image that was added."""
        return () if self._sum is None else self._sum.shape

    def result(self, source: str) -> npt.NDArray[np.float32]:
        """Return the mean, channels × height × width.

        Raises:
            CaffeError: if no image was added; it names ``source``.
        """
        if self._sum is None:
            raise CaffeError(f"the database {source!r} has no records", "build it again")
        return np.asarray(self._sum / np.float32(self.count))
