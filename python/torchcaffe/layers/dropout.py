"""Dropout."""

from __future__ import annotations

import torch

from caffefiles.proto import caffe_pb2
from torchcaffe import common
from torchcaffe.layers.base import Blobs, Flags, Layer


class Dropout(Layer):
    """TRAIN: y = x · m / (1 − r), m being 1 with probability 1 − r, r = ``dropout_ratio``. TEST: y = x. dx likewise.

    On the CPU m is drawn from Caffe's generator, so that it is Caffe's mask.

    Differs from Caffe in: on a GPU m is drawn by PyTorch there (as Caffe's is by cuRAND).
    """

    exact_num_bottom = 1
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the ratio.

        Raises:
            CaffeError: it is not within 0..1, 1 excluded.
        """
        self._ratio: float = self.param.dropout_param.dropout_ratio
        if not 0 <= self._ratio < 1:
            raise self.fail(f"dropout_ratio {self._ratio} is not in 0..1 (1 excluded)")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].data
        if self.phase != caffe_pb2.TRAIN:
            if top[0] is not bottom[0]:
                top[0].data.copy_(x)
            return
        if self.device.type == "cpu":
            kept = common.generator().bernoulli(bottom[0].count, 1.0 - self._ratio)
            mask = torch.from_numpy(kept).view(x.shape).to(x.dtype)
        else:
            mask = torch.empty_like(x).bernoulli_(1 - self._ratio)
        self._mask = mask.mul_(1 / (1 - self._ratio))
        torch.mul(x, self._mask, out=top[0].data)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        if self.phase == caffe_pb2.TRAIN:
            torch.mul(top[0].diff, self._mask, out=bottom[0].diff)
        elif top[0] is not bottom[0]:
            bottom[0].diff.copy_(top[0].diff)
