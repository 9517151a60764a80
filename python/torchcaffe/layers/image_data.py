"""ImageData: batches of image files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from caffefiles.errors import CaffeError, os_error_message
from torchcaffe import common
from torchcaffe.data import images
from torchcaffe.data.prefetch import Prefetcher
from torchcaffe.data.shuffle import shuffle
from torchcaffe.data.transformer import Transformer
from torchcaffe.layers.base import Blobs, Layer, SourceLayer
from torchcaffe.rng import Generator

_LINE = re.compile(r"(.*) ([+-]?\d+)\s*")


class ImageData(SourceLayer):
    """Tops: ``batch_size`` images of the list ``source`` (lines ``<path> <label>``), N × C × H × W; their labels, N.

    In the list's order, around and around, or shuffled at first and before each further round. Images are decoded and
    resized by OpenCV (B, G, R, rotated as EXIF says) and transformed by ``transform_param``. All of a batch must have
    one size after resizing or cropping; with a batch_size of 1 each may have its own.
    """

    exact_num_top = 2

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the list and the first image, start reading ahead.

        Raises:
            CaffeError: the list, its first image or the transformation is not usable.
        """
        param = self.param.image_data_param
        if (param.new_height == 0) != (param.new_width == 0):
            raise self.fail("new_height and new_width must be set at the same time", "or leave both out")
        if not param.batch_size:
            raise self.fail("image_data_param.batch_size must be positive")
        transformer = Transformer(self.param.transform_param, self.phase)
        transformer.init_rand()
        lines = self._read_list(param.source)
        generator = None
        if param.shuffle:
            generator = Generator(common.generator().draw())
            shuffle(lines, generator)
        skip = 0
        if param.rand_skip:
            skip = common.generator().draw() % param.rand_skip
            if skip >= len(lines):
                raise self.fail(f"rand_skip drew {skip}, but {param.source!r} has only {len(lines)} images")
        batches = _Batches(self, transformer, lines, generator, skip)
        top[0].reshape(param.batch_size, *batches.first_shape)
        top[1].reshape(param.batch_size)
        # Caffe draws a second time for the transformer, and once for the thread's own generator
        transformer.init_rand()
        common.generator().draw()
        self._prefetcher = Prefetcher(batches.make, 4)

    def _read_list(self, source: str) -> list[tuple[str, int]]:
        try:
            text = Path(source).read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise self.fail(os_error_message(error), "image_data_param.source is the list") from None
        lines = []
        rows = text.split("\n")
        for number, line in enumerate(rows if rows[-1] else rows[:-1], 1):
            match = _LINE.fullmatch(line)
            if not match or not -(2**31) <= int(match.group(2)) < 2**31:
                raise self.fail(f"{source}:{number}: {line!r} is no line `<path> <label>`", "the label is an integer")
            lines.append((match.group(1), int(match.group(2))))
        if not lines:
            raise self.fail(f"the list {source!r} is empty")
        return lines

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        data, labels = self._prefetcher.take()
        top[0].reshape(*data.shape)
        top[0].take_data(data)
        top[1].take_data(labels)


class _Batches:
    """Makes batches; knows nothing of the layer, so that the layer can go away."""

    def __init__(
        self,
        layer: Layer,
        transformer: Transformer,
        lines: list[tuple[str, int]],
        generator: Generator | None,
        skip: int,
    ) -> None:
        self._param, self._fail = layer.param.image_data_param, layer.fail
        self._transformer, self._lines, self._generator, self._skip = transformer, lines, generator, skip
        self._order = self._walk()
        self.first_shape = transformer.output_shape(self._read(lines[skip][0]).shape)

    def _walk(self) -> Iterator[tuple[str, int]]:
        position = self._skip
        while True:
            yield self._lines[position]
            position += 1
            if position == len(self._lines):
                position = 0
                if self._generator is not None:
                    shuffle(self._lines, self._generator)

    def _read(self, name: str) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
        param = self._param
        try:
            return images.read(param.root_folder + name, param.new_height, param.new_width, param.is_color)
        except CaffeError as error:
            raise self._fail(error.message, f"it is in the list {param.source!r}") from None

    def make(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch, transformed, and its labels."""
        size = self._param.batch_size
        labels = np.empty(size, np.float32)
        data: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None
        for i in range(size):
            name, label = next(self._order)
            pixels = self._read(name)
            shape = self._transformer.output_shape(pixels.shape)
            if data is None:
                data = np.empty((size, *shape), np.float32)
            elif data.shape[1:] != shape:
                raise self._fail(
                    f"the image {name!r} has the shape {shape}, the first of its batch has {data.shape[1:]}",
                    "all images of a batch must have one shape: give new_height and new_width",
                )
            self._transformer.transform(pixels[None], data[i : i + 1])
            labels[i] = label
        return torch.from_numpy(data), torch.from_numpy(labels)
