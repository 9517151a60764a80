"""A database kept decoded on the GPU, as bytes, and stepped through there in the same order with the same draws.

An epoch then moves nothing between host and GPU but the corners of random crops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from caffefiles.database import Reader
from caffefiles.errors import CaffeError
from torchcaffe.data.datum import read_datum
from torchcaffe.data.transformer import Transformer

SHARE = 0.6
"""The share of the GPU's free memory that data may take; the rest is for the net."""
_CHUNK = 4096


def fits(device: torch.device, reader: Reader, pixels: NDArray[Any]) -> bool:
    """Would all records, bytes like the first, fit into the GPU's free memory?

    Never on the CPU, whose page cache does the same.
    """
    if device.type != "cuda" or pixels.dtype != np.uint8:
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return reader.count * pixels.nbytes <= SHARE * free


def load(
    reader: Reader, color: bool | None, shape: tuple[int, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """All records: bytes, N × channels × height × width, and labels, N floats, on the device.

    Raises:
        CaffeError: a record has another shape, or is damaged.
    """
    pixels = torch.empty((reader.count, *shape), dtype=torch.uint8, device=device)
    labels = np.empty(reader.count, np.float32)
    chunk = np.empty((min(_CHUNK, reader.count), *shape), np.uint8)
    for i, (key, value) in enumerate(reader.once()):
        record = read_datum(bytes(value), key, reader.path, color)
        if record.pixels.shape != shape or record.pixels.dtype != np.uint8:
            raise CaffeError(
                f"record {key.decode('utf-8', 'backslashreplace')!r} of {reader.path!r} has the shape "
                f"{record.pixels.shape}, the first has {shape}",
                "all records of a batch must have one shape: build the database with a size",
            )
        at = i % len(chunk)
        chunk[at], labels[i] = record.pixels, record.label
        if at == len(chunk) - 1 or i == reader.count - 1:
            pixels[i - at : i + 1].copy_(torch.from_numpy(chunk[: at + 1]))
    return pixels, torch.from_numpy(labels).to(device)


class Resident:
    """Batches of records that lie on a device.

    Args:
        pixels: bytes, N × channels × height × width.
        labels: N floats.
        transformer: says mean, scale and the windows, in the order of the records.
        batch: how many at a time; more than there are go around.
    """

    def __init__(self, pixels: torch.Tensor, labels: torch.Tensor, transformer: Transformer, batch: int) -> None:
        self._pixels, self._labels, self._transformer, self._batch = pixels, labels, transformer, batch
        mean = transformer.mean()
        self._mean = None if mean is None else torch.from_numpy(mean).to(pixels.device)
        self._next = 0

    def fill(self, data: torch.Tensor, into: torch.Tensor | None) -> None:
        """Write the next batch, transformed, and its labels, if asked for, into memory that stays where it is.

        Args:
            data: N × channels × height × width floats.
            into: N floats.
        """
        count = len(self._pixels)
        start, self._next = self._next, (self._next + self._batch) % count
        if start + self._batch <= count:
            raw, labels = self._pixels[start : start + self._batch], self._labels[start : start + self._batch]
        else:
            order = (torch.arange(start, start + self._batch, device=self._pixels.device)) % count
            raw, labels = self._pixels[order], self._labels[order]
        self._transform(raw, data)
        scale = self._transformer.param.scale
        if scale != 1:
            data.mul_(float(np.float32(scale)))
        if into is not None:
            into.copy_(labels)

    def _transform(self, raw: torch.Tensor, out: torch.Tensor) -> None:
        param = self._transformer.param
        if not param.crop_size and not param.mirror:
            out.copy_(raw) if self._mean is None else torch.sub(raw, self._mean, out=out)
            return
        height, width = raw.shape[2:]
        drawn = np.array(self._transformer.windows(len(raw), height, width), np.int64)
        flip, top, left = torch.from_numpy(drawn).to(raw.device).unbind(1)
        rows = top[:, None] + torch.arange(param.crop_size or height, device=raw.device)
        along = torch.arange(param.crop_size or width, device=raw.device)
        columns = left[:, None] + torch.where(flip[:, None] != 0, along.flip(0), along)
        each = torch.arange(len(raw), device=raw.device)[:, None, None]
        # the channels come last out of this indexing
        picked = raw.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        if self._mean is None:
            out.copy_(picked)
        elif self._mean.shape[1:] == (1, 1):
            torch.sub(picked, self._mean, out=out)
        else:
            means = self._mean.permute(1, 2, 0)[rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
            torch.sub(picked, means, out=out)
