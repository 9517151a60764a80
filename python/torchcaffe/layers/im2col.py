"""Im2col: every window of a blob as a column."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from torchcaffe.layers.base import Blobs
from torchcaffe.layers.function import FunctionLayer
from torchcaffe.layers.geometry import read_window


class Im2col(FunctionLayer):
    """N × C × spatial becomes N × (C · kernel) × out, by ``convolution_param``'s window (see Convolution).

    Channels at its ``axis`` (1); the kernel's positions, row by row, run fastest. dx adds up over the windows.
    """

    exact_num_bottom = 1
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the window.

        Raises:
            CaffeError: it does not fit.
        """
        param = self.param.convolution_param
        self._axis = bottom[0].canonical_axis(param.axis)
        self._spatial = bottom[0].num_axes - self._axis - 1
        if not self._spatial:
            raise self.fail(f"a bottom of shape {bottom[0].shape} has no axis after the channels (axis {self._axis})")
        self._window = read_window(self, param, self._spatial)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The shape above.

        Raises:
            CaffeError: the bottom has other axes than at first, or is smaller than the kernel.
        """
        if bottom[0].num_axes != self._axis + 1 + self._spatial:
            raise self.fail(f"a bottom of shape {bottom[0].shape}", f"{self._axis + 1 + self._spatial} axes expected")
        super().reshape(bottom, top)

    def function(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Pad, take windows along one axis after another, put their axes behind the channels."""
        x, window = inputs[0], self._window
        pads = [p for pad in reversed(window.pad) for p in (pad, pad)]
        windows = functional.pad(x, pads) if any(pads) else x
        for i in range(self._spatial):
            windows = windows.unfold(self._axis + 1 + i, window.extent(i), window.stride[i])
            windows = windows[..., :: window.dilation[i]]
        first, kernel = self._axis + 1, range(self._axis + 1 + self._spatial, self._axis + 1 + 2 * self._spatial)
        ordered = windows.permute(*range(first), *kernel, *range(first, first + self._spatial))
        columns = x.shape[self._axis] * math.prod(window.kernel)
        return ordered.reshape(*x.shape[: self._axis], columns, *ordered.shape[first + self._spatial :])
