"""Data: batches of a database's records."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from caffefiles.database import Reader, open_database
from caffefiles.datum import Record
from torchcaffe import common
from torchcaffe.data import resident
from torchcaffe.data.datum import read_datum
from torchcaffe.data.prefetch import Prefetcher
from torchcaffe.data.transformer import Transformer
from torchcaffe.layers.base import Blobs, Layer, SourceLayer


class Data(SourceLayer):
    """Tops: ``batch_size`` records in key order, around and around, transformed by ``transform_param``; their labels.

    data N × C × H × W; label N. With several solvers each takes its share of the records in turn.

    Differs from Caffe in: a LevelDB is not written to; a record of another shape than the first is an error (as it is
    there).
    """

    min_num_top = 1
    max_num_top = 2

    _resident: resident.Resident | None = None

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Open the database, shape the tops after its first record, start reading ahead.

        Raises:
            CaffeError: the database or the transformation is not usable.
        """
        param = self.param.data_param
        if not param.batch_size:
            raise self.fail("data_param.batch_size must be positive")
        transformer = Transformer(self.param.transform_param, self.phase)
        transformer.init_rand()
        reader = open_database(param.source, param.backend)
        color = self._color()
        first = next(_records(reader, color))
        shape = transformer.output_shape(first.pixels.shape)
        top[0].reshape(param.batch_size, *shape)
        if len(top) > 1:
            top[1].reshape(param.batch_size)
        # Caffe draws a second time for the transformer, and once for the thread's own generator
        transformer.init_rand()
        common.generator().draw()
        if common.solver_count() == 1 and resident.fits(self.device, reader, first.pixels):
            pixels, labels = resident.load(reader, color, first.pixels.shape, self.device)
            self._resident = resident.Resident(pixels, labels, transformer, param.batch_size)
        else:
            batches = _Batches(self, reader, transformer, first, shape, color)
            self._take = Prefetcher(batches.make, param.prefetch).take

    def _color(self) -> bool | None:
        """How encoded images are decoded: in colour, grey, or (None) as they are."""
        param = self.param.transform_param
        if param.force_color and param.force_gray:
            raise self.fail("transform_param has both force_color and force_gray", "give one of them")
        return True if param.force_color else False if param.force_gray else None

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self._resident is not None:
            self._resident.fill(top[0].data, top[1].data if len(top) > 1 else None)
            return
        data, labels = self._take()
        top[0].take_data(data)
        if len(top) > 1:
            top[1].take_data(labels)


class _Batches:
    """Makes batches; knows nothing of the layer, so that the layer can go away."""

    def __init__(
        self,
        layer: Layer,
        reader: Reader,
        transformer: Transformer,
        first: Record,
        shape: tuple[int, int, int],
        color: bool | None,
    ) -> None:
        param = layer.param.data_param
        self._transformer, self._shape, self._fail = transformer, shape, layer.fail
        self._records = _records(reader, color)
        self._raw = np.empty((param.batch_size, *first.pixels.shape), first.pixels.dtype)
        self._source = param.source
        self._count, self._rank = common.solver_count(), common.solver_rank()
        for _ in range(self._rank):
            next(self._records)

    def make(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch, transformed, and its labels."""
        labels = np.empty(len(self._raw), np.float32)
        for i in range(len(self._raw)):
            record = next(self._records)
            if record.pixels.shape != self._raw.shape[1:]:
                raise self._fail(
                    f"a record of shape {record.pixels.shape} in {self._source!r}, the first has {self._raw.shape[1:]}",
                    "all records of a batch must have one shape: build the database with a size",
                )
            self._raw[i] = record.pixels
            labels[i] = record.label
            for _ in range(self._count - 1):
                next(self._records)
        data = np.empty((len(self._raw), *self._shape), np.float32)
        self._transformer.transform(self._raw, data)
        return torch.from_numpy(data), torch.from_numpy(labels)


def _records(reader: Reader, color: bool | None) -> Iterator[Record]:
    for key, value in reader.records():
        yield read_datum(value, key, reader.path, color)
