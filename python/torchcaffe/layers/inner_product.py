"""InnerProduct: fully connected."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, Layer
from torchcaffe.matmul import mm


class InnerProduct(Layer):
    """y = x Wᵀ + b, x being the bottom flattened from ``axis`` (1) on.

    Bottom ... × K, top ... × N with N = num_output. Blobs: W, N × K (K × N if ``transpose``); b, N, if ``bias_term``.
    dx = dy W, dW += dyᵀ x, db += Σ dy.
    """

    exact_num_bottom = 1
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Make W and b.

        Raises:
            CaffeError: no num_output, or no such axis.
        """
        param = self.param.inner_product_param
        if not param.num_output:
            raise self.fail("inner_product_param.num_output must be positive")
        self._outputs: int = param.num_output
        self._transpose: bool = param.transpose
        self._inputs = bottom[0].count_between(bottom[0].canonical_axis(param.axis))
        shape = (self._inputs, self._outputs) if self._transpose else (self._outputs, self._inputs)
        if param.bias_term:
            self.init_blobs((shape, param.weight_filler), ((self._outputs,), param.bias_filler))
        else:
            self.init_blobs((shape, param.weight_filler))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The axes before ``axis``, then N.

        Raises:
            CaffeError: the flattened bottom no longer has K inputs.
        """
        axis = bottom[0].canonical_axis(self.param.inner_product_param.axis)
        if bottom[0].count_between(axis) != self._inputs:
            raise self.fail(
                f"a bottom of shape {bottom[0].shape} has other than {self._inputs} inputs from axis {axis} on"
            )
        top[0].reshape(*bottom[0].shape[:axis], self._outputs)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = self._rows(bottom[0].data, self._inputs), self._rows(top[0].data, self._outputs)
        weights = self.blobs[0].data if self._transpose else self.blobs[0].data.t()
        mm(x, weights, y, self.blobs[1].data if len(self.blobs) > 1 else None)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Two matrix products and a sum."""
        x, dy = self._rows(bottom[0].data, self._inputs), self._rows(top[0].diff, self._outputs)
        if self.param_propagate_down[0]:
            diff, beta = self.blobs[0].diff_to_add_to()
            mm(*((x.t(), dy) if self._transpose else (dy.t(), x)), diff, beta=beta)
        if len(self.blobs) > 1 and self.param_propagate_down[1]:
            diff, beta = self.blobs[1].diff_to_add_to()
            diff.add_(dy.sum(0)) if beta else torch.sum(dy, 0, out=diff)
        if propagate_down[0]:
            weights = self.blobs[0].data.t() if self._transpose else self.blobs[0].data
            mm(dy, weights, self._rows(bottom[0].diff, self._inputs))

    @staticmethod
    def _rows(tensor: torch.Tensor, length: int) -> torch.Tensor:
        return tensor.view(tensor.numel() // length, length)
