"""HDF5Data: batches of rows of HDF5 files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caffefiles.errors import CaffeError, optional, os_error_message
from caffefiles.proto import caffe_pb2
from torchcaffe import common
from torchcaffe.data.shuffle import c_rand, random_shuffle
from torchcaffe.layers.base import Blobs, SourceLayer


class HDF5Data(SourceLayer):
    """Tops: ``batch_size`` rows of the datasets that have the tops' names, in the files that the list ``source`` names.

    Row after row, file after file, around and around. ``shuffle`` shuffles the files, and the rows within each, with
    the C library's ``rand()``, which random_seed does not touch: every run has the same order, that of real Caffe on
    Linux. With several solvers each takes its share of the rows in turn.
    """

    min_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the list and the first file, shape the tops.

        Raises:
            CaffeError: the list or the file is not usable, or there is a transform_param.
        """
        if self.param.HasField("transform_param"):
            raise self.fail("does not transform data", "remove transform_param")
        self._param = param = self.param.hdf5_data_param
        if not param.batch_size:
            raise self.fail("hdf5_data_param.batch_size must be positive")
        try:
            self._files = Path(param.source).read_text(encoding="utf-8", errors="surrogateescape").split()
        except OSError as error:
            raise self.fail(os_error_message(error), "hdf5_data_param.source lists the HDF5 files") from None
        if not self._files:
            raise self.fail(f"must have at least 1 HDF5 filename listed in {param.source!r}")
        self._file, self._row, self._offset = 0, 0, 0
        self._file_order = list(range(len(self._files)))
        if param.shuffle:
            random_shuffle(self._file_order, c_rand.draw)
        self._load()
        self._shapes = [rows.shape[1:] for rows in self._rows]
        for blob, shape in zip(top, self._shapes):
            blob.reshape(param.batch_size, *shape)

    def _load(self) -> None:
        """Read the file whose turn it is."""
        h5py = optional("h5py", "HDF5")

        path = self._files[self._file_order[self._file]]
        self._rows: list[Any] = []
        try:
            with h5py.File(path, "r") as file:
                for name in self.param.top:
                    self._rows.append(self._dataset(file, name, path))
        except CaffeError:
            raise
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise self.fail(
                f"{path!r} is no readable HDF5 file: {error}", f"it is listed in {self._param.source!r}"
            ) from None
        counts = [len(rows) for rows in self._rows]
        if len(set(counts)) > 1 or not counts[0]:
            raise self.fail(
                f"the datasets {', '.join(self.param.top)} of {path!r} have {', '.join(map(str, counts))} rows",
                "all must have the same number, at least 1",
            )
        shapes = [rows.shape[1:] for rows in self._rows]
        if shapes != getattr(self, "_shapes", shapes):
            raise self.fail(f"rows of shapes {shapes} in {path!r}, the first file has {self._shapes}")
        self._row_order = list(range(counts[0]))
        if self._param.shuffle:
            random_shuffle(self._row_order, c_rand.draw)

    def _dataset(self, file: Any, name: str, path: str) -> Any:
        h5py = optional("h5py", "HDF5")

        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset):
            raise self.fail(f"{path!r} has no dataset {name!r}", f"it has: {', '.join(file) or 'nothing'}")
        if dataset.dtype.kind not in "fiu" or not dataset.shape:
            raise self.fail(
                f"the dataset {name!r} of {os.fspath(path)!r} is {dataset.dtype} of shape {dataset.shape}",
                "numbers with at least one axis were expected",
            )
        return np.asarray(dataset[()], np.float32)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        size = self._param.batch_size
        batch = [np.empty((size, *shape), np.float32) for shape in self._shapes]
        for i in range(size):
            while self._skip():
                self._next()
            row = self._row_order[self._row]
            for target, rows in zip(batch, self._rows):
                target[i] = rows[row]
            self._next()
        for blob, values in zip(top, batch):
            blob.data.copy_(torch.from_numpy(values))

    def _skip(self) -> bool:
        """Is the row another solver's?"""
        count = common.solver_count()
        return bool(self.phase == caffe_pb2.TRAIN and count > 1 and self._offset % count != common.solver_rank())

    def _next(self) -> None:
        self._row += 1
        self._offset += 1
        if self._row < len(self._row_order):
            return
        self._row = 0
        if len(self._files) > 1:
            self._file += 1
            if self._file == len(self._files):
                self._file = 0
                if self._param.shuffle:
                    random_shuffle(self._file_order, c_rand.draw)
            self._load()
        if self._param.shuffle:
            random_shuffle(self._row_order, c_rand.draw)
