"""MemoryData: batches of arrays that the user hands over."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from torchcaffe.layers.base import Blobs, SourceLayer


class MemoryData(SourceLayer):
    """Tops: data N × C × H × W of ``memory_data_param`` and labels N, batch after batch of what :meth:`reset` got.

    From the first forward on the labels are N × 1 × 1 × 1, as in Caffe. ``transform_param`` does not apply, as in
    Caffe's ``set_input_arrays``.
    """

    exact_num_top = 2
    _data: Any = None
    _labels: Any = None
    _position = 0

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Shape the tops.

        Raises:
            CaffeError: a dimension is missing.
        """
        param = self.param.memory_data_param
        self._shape = (param.batch_size, param.channels, param.height, param.width)
        if min(self._shape) < 1:
            raise self.fail(
                "memory_data_param: batch_size, channels, height, and width must be specified and positive, "
                f"they are {', '.join(map(str, self._shape))}"
            )
        top[0].reshape(*self._shape)
        top[1].reshape(self._shape[0])

    def reset(self, data: Any, labels: Any) -> None:
        """Begin anew with these arrays, which are not copied: later changes are seen by later forwards.

        Args:
            data: float32, C-contiguous, n × C × H × W, n a multiple of the batch size.
            labels: float32, C-contiguous, n × 1 × 1 × 1.

        Raises:
            CaffeError: they are not that.
        """
        for array, what in ((data, "data"), (labels, "labels")):
            if not isinstance(array, np.ndarray) or array.dtype != np.float32:
                raise self.fail(f"{what} array must be float32", "give array.astype(np.float32)")
            if not array.flags.c_contiguous:
                raise self.fail(f"{what} array must be C contiguous", "give np.ascontiguousarray(array)")
            if array.ndim != 4:
                raise self.fail(f"{what} array must be 4-d, its shape is {array.shape}")
        if data.shape[1:] != self._shape[1:]:
            raise self.fail(
                f"data array has wrong number of channels, height or width: {data.shape[1:]}",
                f"memory_data_param says {self._shape[1:]}",
            )
        if labels.shape != (data.shape[0], 1, 1, 1):
            raise self.fail(f"labels of shape {labels.shape} for {data.shape[0]} examples", "give one for each")
        if not len(data) or len(data) % self._shape[0]:
            raise self.fail(
                f"first dimension of input array, {len(data)}, must be a multiple of batch size {self._shape[0]}"
            )
        self._data, self._labels, self._position = data, labels, 0

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """The next batch, around and around.

        Raises:
            CaffeError: there are no arrays yet.
        """
        if self._data is None:
            raise self.fail("needs to be initialized", "call net.set_input_arrays(data, labels) first")
        window = slice(self._position, self._position + self._shape[0])
        top[0].reshape(*self._shape)
        top[1].reshape(self._shape[0], 1, 1, 1)
        top[0].data.copy_(torch.from_numpy(self._data[window]))
        top[1].data.copy_(torch.from_numpy(self._labels[window]))
        self._position = window.stop % len(self._data)
