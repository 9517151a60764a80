"""Convolution over 0 to 3 spatial axes."""

from __future__ import annotations

from typing import Callable, ClassVar

import torch
from torch.nn import functional

from torchcaffe.layers.base import Blobs
from torchcaffe.layers.function import FunctionLayer
from torchcaffe.layers.geometry import read_window


class Convolution(FunctionLayer):
    """Cross-correlation in ``group`` groups: y[o] = b[o] + Σ W[o, i, k] x[i, s·stride − pad + k·dilation].

    Bottoms N × C × spatial (channels at ``axis``, 1), each convolved by the same kernels to a top N × num_output × out,
    out = (in + 2·pad − dilation·(kernel − 1) − 1) / stride + 1, rounded down. Blobs: W, num_output × C/group × kernel;
    b, num_output, if ``bias_term``.

    Differs from Caffe in: at most 3 spatial axes; ``engine`` and ``force_nd_im2col`` are read and have no effect.
    """

    min_num_bottom = 1
    min_num_top = 1
    equal_num_bottom_top = True
    convolutions: ClassVar[dict[int, Callable[..., torch.Tensor]]] = {
        1: functional.conv1d,
        2: functional.conv2d,
        3: functional.conv3d,
    }
    """PyTorch's function for each number of spatial axes."""

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Make W and b.

        Raises:
            CaffeError: num_output or group do not fit, or the window is wrong.
        """
        param = self.param.convolution_param
        self._axis = bottom[0].canonical_axis(param.axis)
        self._spatial = bottom[0].num_axes - self._axis - 1
        self._channels = bottom[0].shape[self._axis]
        if self._spatial > max(self.convolutions):
            raise self.fail(
                f"a bottom of shape {bottom[0].shape} has {self._spatial} spatial axes", "at most 3 are supported"
            )
        self._window = read_window(self, param, self._spatial)
        self._num_output, self._group = int(param.num_output), int(param.group)
        if self._num_output < 1:
            raise self.fail("convolution_param.num_output must be positive")
        if self._group < 1 or self._channels % self._group or self._num_output % self._group:
            raise self.fail(
                f"group {self._group} does not divide {self._channels} channels and num_output {self._num_output}"
            )
        weight = ((*self.weight_channels(), *self._window.kernel), param.weight_filler)
        bias = ((self._num_output,), param.bias_filler)
        self.init_blobs(*((weight, bias) if param.bias_term else (weight,)))

    def weight_channels(self) -> tuple[int, int]:
        """The first two dimensions of W."""
        return self._num_output, self._channels // self._group

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """N × num_output × out.

        Raises:
            CaffeError: bottoms that differ in shape or have other channels than at first, or are too small.
        """
        for blob in bottom:
            if blob.shape != bottom[0].shape:
                raise self.fail(
                    f"bottoms of shapes {bottom[0].shape} and {blob.shape}", "all bottoms must have one shape"
                )
        if bottom[0].num_axes != self._axis + 1 + self._spatial or bottom[0].shape[self._axis] != self._channels:
            raise self.fail(
                f"a bottom of shape {bottom[0].shape}",
                f"{self._channels} channels at axis {self._axis} and {self._spatial} spatial axes were expected",
            )
        super().reshape(bottom, top)
        if not top[0].count and bottom[0].count:
            raise self.fail(f"a bottom of shape {bottom[0].shape} gives an empty top, {top[0].shape}", "give less pad")

    def function(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        count = len(inputs) - len(self.blobs)
        weight, bias = inputs[count], inputs[count + 1] if len(self.blobs) > 1 else None
        return tuple(self._one(x, weight, bias) for x in inputs[:count])

    def _one(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        spatial = x.shape[self._axis + 1 :] or (1,)  # without spatial axes: a window of one position
        flat = x.reshape(-1, self._channels, *spatial)
        stride, dilation, pad = self._window.stride or (1,), self._window.dilation or (1,), self._window.pad or (0,)
        if not self._spatial:
            weight = weight.unsqueeze(-1)
        y = self.convolutions[len(spatial)](
            flat, weight, bias, stride=stride, padding=pad, dilation=dilation, groups=self._group
        )
        return y.reshape(*x.shape[: self._axis], self._num_output, *(y.shape[2:] if self._spatial else ()))
