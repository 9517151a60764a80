"""Bias: adds a blob along some axes of another."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, Layer
from torchcaffe.layers.broadcast import along, fold, operand_shape


class Bias(Layer):
    """y = x + b, b lying along x's axes from ``axis`` (1) on; dx = dy, db = Σ dy. In place or not.

    b is the second bottom, of any number of axes, or else a blob of ``num_axes`` (1; −1: all) axes of x, filled by
    ``filler``.
    """

    min_num_bottom = 1
    max_num_bottom = 2
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Make b.

        Raises:
            CaffeError: the bottom has fewer axes.
        """
        if len(bottom) == 1:
            param = self.param.bias_param
            self.init_blobs((operand_shape(self, param, bottom[0]), param.filler))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The bottom's shape.

        Raises:
            CaffeError: b does not fit it.
        """
        self._bias = bottom[1] if len(bottom) > 1 else self.blobs[0]
        self._folded = fold(self, self.param.bias_param, bottom[0], self._bias)
        top[0].reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = bottom[0].data.view(self._folded), top[0].data.view(self._folded)
        torch.add(x, along(self._bias.data), out=y)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        dy = top[0].diff.view(self._folded)
        if len(bottom) == 1 and self.param_propagate_down[0]:
            self.blobs[0].accumulate(dy.sum((0, 2)).view(self._bias.shape))
        if len(bottom) > 1 and propagate_down[1]:
            bottom[1].diff.copy_(dy.sum((0, 2)).view(self._bias.shape))
        if propagate_down[0] and top[0] is not bottom[0]:
            bottom[0].diff.copy_(top[0].diff)
