"""WindowData: batches of windows of images, for R-CNN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from caffefiles.errors import CaffeError, os_error_message
from torchcaffe import common
from torchcaffe.data import images
from torchcaffe.data.prefetch import Prefetcher
from torchcaffe.data.transformer import Transformer
from torchcaffe.data.windows import WindowFile, Windows, place, read_window_file
from torchcaffe.layers.base import Blobs, Layer, SourceLayer
from torchcaffe.rng import Generator

_CHANNELS = 3  # images are decoded in colour


class WindowData(SourceLayer):
    """Tops: ``batch_size`` windows drawn at random, N × 3 × crop_size × crop_size, and their classes, N.

    ``source`` lists for each image ``# index``, path, channels, height, width, the number of windows, and windows
    ``class overlap x1 y1 x2 y2``. First come the background windows (overlap < bg_threshold; class 0), then
    ⌊batch_size · fg_fraction⌋ of the foreground (overlap ≥ fg_threshold), drawn with replacement. A window is cut out,
    with ``context_pad`` pixels around it as measured in the crop, warped to the crop (crop_mode "square": extended to
    a square first; all else squashes) bilinearly, and mirrored by chance; (x − mean) · ``window_data_param.scale``. A
    mean image is cut at its centre. What lies outside the image is 0. ``crop_size``, ``mirror`` and the mean are those
    of ``transform_param``.

    Differs from Caffe in: an image that cannot be read is an error (there: the rest of the batch is 0); so is all
    that is undefined there: malformed numbers, no windows of a kind that is wanted, a window outside its image, a mean
    smaller than the crop, channels other than 3.
    """

    exact_num_top = 2

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the window file, shape the tops, start reading ahead.

        Raises:
            CaffeError: the window file, the mean or the parameters are not usable.
        """
        param, crop = self.param.window_data_param, self.param.transform_param.crop_size
        if not param.batch_size:
            raise self.fail("window_data_param.batch_size must be positive")
        if not crop:
            raise self.fail("transform_param.crop_size must be positive", "it is the size that windows are warped to")
        if 2 * param.context_pad >= crop:
            raise self.fail(
                f"context_pad {param.context_pad} leaves nothing of a crop_size of {crop}",
                "context_pad must be less than half of crop_size",
            )
        if not 0 <= param.fg_fraction <= 1:
            raise self.fail(f"fg_fraction {param.fg_fraction:g} is no fraction", "it must lie in 0..1")
        transformer = Transformer(self.param.transform_param, self.phase)
        transformer.init_rand()
        generator = Generator(common.generator().draw())
        windows = read_window_file(param.source, param.fg_threshold, param.bg_threshold)
        if windows.channels != _CHANNELS:
            raise self.fail(
                f"{param.source!r} says that its last image has {windows.channels} channels",
                f"write {_CHANNELS}: images are decoded in colour",
            )
        top[0].reshape(param.batch_size, _CHANNELS, crop, crop)
        top[1].reshape(param.batch_size)
        batches = _Batches(self, windows, self._mean(transformer, crop), generator)
        # Caffe draws a second time for the transformer, and once for the thread's own generator
        transformer.init_rand()
        common.generator().draw()
        self._prefetcher = Prefetcher(batches.make, 4)

    def _mean(self, transformer: Transformer, crop: int) -> NDArray[np.float32]:
        """What is subtracted: channels × crop × crop, or channels × 1 × 1."""
        mean = transformer.mean()
        if mean is None:
            return np.zeros((1, 1, 1), np.float32)
        if self.param.transform_param.mean_value:
            if len(mean) not in (1, _CHANNELS):
                raise self.fail(f"{len(mean)} mean_value for {_CHANNELS} channels", "give one, or one for each channel")
            return mean
        channels, height, width = mean.shape
        offset = (width - crop) // 2  # of rows too, as in Caffe
        if channels != _CHANNELS or width < crop or height < offset + crop:
            raise self.fail(
                f"the mean {self.param.transform_param.mean_file!r} has the shape {mean.shape}",
                f"{_CHANNELS} channels, and height and width of at least the crop_size of {crop} were expected",
            )
        return mean[:, offset : offset + crop, offset : offset + crop]

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        data, labels = self._prefetcher.take()
        top[0].take_data(data)
        top[1].take_data(labels)


class _Batches:
    """Makes batches; knows nothing of the layer, so that the layer can go away."""

    def __init__(self, layer: Layer, windows: WindowFile, mean: NDArray[np.float32], generator: Generator) -> None:
        self._param, self._fail = layer.param.window_data_param, layer.fail
        self._mean, self._generator = mean, generator
        self._crop, self._mirror = layer.param.transform_param.crop_size, layer.param.transform_param.mirror
        self._paths = [self._param.root_folder + path for path in windows.paths]
        size = self._param.batch_size
        foreground = int(np.float32(size) * np.float32(self._param.fg_fraction))
        self._samples = ((windows.background, size - foreground), (windows.foreground, foreground))
        for (kind, count), name in zip(self._samples, ("background", "foreground")):
            if count and not len(kind.labels):
                raise self._fail(
                    f"{self._param.source!r} has no {name} windows, a batch takes {count}",
                    "see fg_threshold, bg_threshold and fg_fraction",
                )
        self._cache = [self._read_file(path) for path in self._paths] if self._param.cache_images else []

    def make(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch, warped, and its labels."""
        size, crop = self._param.batch_size, self._crop
        data, labels = np.zeros((size, _CHANNELS, crop, crop), np.float32), np.empty(size, np.float32)
        item = 0
        for windows, count in self._samples:
            for _ in range(count):
                chosen = self._generator.draw() % len(windows.labels)
                mirrored = bool(self._mirror and self._generator.draw() % 2)
                self._warp(windows, chosen, mirrored, data[item])
                labels[item] = windows.labels[chosen]
                item += 1
        return torch.from_numpy(data), torch.from_numpy(labels)

    def _warp(self, windows: Windows, chosen: int, mirrored: bool, out: NDArray[np.float32]) -> None:
        box, number = windows.boxes[chosen], int(windows.images[chosen])
        pixels = self._image(number)
        square = self._param.crop_mode == "square"
        at = place(box, (pixels.shape[1], pixels.shape[2]), self._crop, self._param.context_pad, square, mirrored)
        if at is None:
            raise self._fail(
                f"{self._param.source}:{windows.lines[chosen]}: the window {[int(x) for x in box]} lies outside "
                f"{self._paths[number]!r}, which is {pixels.shape[2]} wide and {pixels.shape[1]} high",
                "a window is x1 y1 x2 y2, counted from 0, ends included",
            )
        warped = images.cut_and_warp(pixels, (at.x1, at.y1, at.x2, at.y2), at.height, at.width)
        where = (slice(None), slice(at.top, at.top + at.height), slice(at.left, at.left + at.width))
        mean = self._mean if self._mean.shape[1:] == (1, 1) else self._mean[where]
        np.subtract(warped[:, :, ::-1] if mirrored else warped, mean, out=out[where], dtype=np.float32)
        out[where] *= np.float32(self._param.scale)

    def _image(self, number: int) -> NDArray[np.uint8]:
        path = self._paths[number]
        try:
            return images.decode(self._cache[number], f"the image {path!r}", True) if self._cache else images.read(path)
        except CaffeError as error:
            raise self._fail(error.message, f"it is in the window file {self._param.source!r}") from None

    def _read_file(self, path: str) -> bytes:
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise self._fail(os_error_message(error), f"it is in the window file {self._param.source!r}") from None
