"""Crop, mirror, mean and scale of a batch, with Caffe's draws in Caffe's order. Source: ``data_transformer.cpp``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffefiles.errors import CaffeError
from caffefiles.mean import read_mean
from caffefiles.proto import caffe_pb2
from torchcaffe import common
from torchcaffe.rng import Generator


class Transformer:
    """out = (x − mean) · scale at the uncropped index, cropped at random in TRAIN and at the centre in TEST, mirrored.

    Args:
        param: the TransformationParameter.
        phase: TRAIN or TEST.

    Raises:
        CaffeError: two that exclude each other are given, or the mean file cannot be read.
    """

    def __init__(self, param: Any, phase: int) -> None:
        self.param, self.phase = param, phase
        self._generator: Generator | None = None
        self._mean: NDArray[np.float32] | None = None
        if param.force_color and param.force_gray:
            raise CaffeError("transform_param has both force_color and force_gray", "give one of them")
        if param.mean_file:
            if param.mean_value:
                raise CaffeError("transform_param has both mean_file and mean_value", "give one of them")
            self._mean = read_mean(param.mean_file)

    def init_rand(self) -> None:
        """Draw the seed for crops and mirrors from the process's generator, if there will be any."""
        if self.param.mirror or (self.phase == caffe_pb2.TRAIN and self.param.crop_size):
            self._generator = Generator(common.generator().draw())

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The shape that records of ``shape`` (channels, height, width) get.

        Raises:
            CaffeError: the crop is larger than they are, or the mean does not fit them.
        """
        channels, height, width = shape
        crop = self.param.crop_size
        if crop > min(height, width):
            raise CaffeError(f"crop_size {crop} exceeds records of shape {shape}")
        if self._mean is not None and tuple(self._mean.shape) != shape:
            raise CaffeError(
                f"the mean {self.param.mean_file!r} has the shape {tuple(self._mean.shape)}, the records have {shape}",
                "compute the mean of this very database (the mean has the uncropped size)",
            )
        if len(self.param.mean_value) not in (0, 1, channels):
            raise CaffeError(
                f"{len(self.param.mean_value)} mean_value for {channels} channels", "give one, or one for each channel"
            )
        return (channels, crop, crop) if crop else shape

    def transform(self, batch: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Transform records of one shape, N × channels × height × width, into ``out``.

        In NumPy, since it runs in a thread beside the training: PyTorch would start a second set of threads there.
        """
        mean = self.mean()
        if not self.param.crop_size and not self.param.mirror:
            _subtract(batch, mean, out)
        else:
            crop = self.param.crop_size
            windows = self.windows(len(batch), batch.shape[2], batch.shape[3])
            for image, target, (flip, top, left) in zip(batch, out, windows):
                window = mean
                if crop:
                    image = image[:, top : top + crop, left : left + crop]
                    if mean is not None and mean.shape[1:] != (1, 1):
                        window = mean[:, top : top + crop, left : left + crop]
                _subtract(image, window, target[:, :, ::-1] if flip else target)
        if self.param.scale != 1:
            out *= np.float32(self.param.scale)

    def mean(self) -> NDArray[np.float32] | None:
        """What is subtracted: channels × height × width, or × 1 × 1, or nothing."""
        if self.param.mean_value:
            return np.array(self.param.mean_value, np.float32).reshape(-1, 1, 1)
        return self._mean

    def windows(self, count: int, height: int, width: int) -> list[tuple[bool, int, int]]:
        """For each of the next ``count`` images of a size: is it mirrored, and the crop's upper left corner."""
        crop, found = self.param.crop_size, []
        for _ in range(count):
            flip = bool(self.param.mirror and self._draw(2))
            found.append((flip, *(self._corner(height - crop, width - crop) if crop else (0, 0))))
        return found

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        if self.phase == caffe_pb2.TRAIN:
            top = self._draw(height + 1)
            return top, self._draw(width + 1)
        return height // 2, width // 2

    def _draw(self, n: int) -> int:
        assert self._generator is not None
        return self._generator.draw() % n


def _subtract(source: NDArray[Any], mean: NDArray[np.float32] | None, out: NDArray[np.float32]) -> None:
    if mean is None:
        out[...] = source
    else:
        np.subtract(source, mean, out=out, dtype=np.float32)
