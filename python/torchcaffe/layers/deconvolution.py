"""Deconvolution: convolution's transpose."""

from __future__ import annotations

import torch
from torch.nn import functional

from torchcaffe.layers.convolution import Convolution

_DECONVOLUTIONS = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


class Deconvolution(Convolution):
    """Forward is Convolution's gradient by its bottom, and the other way round.

    Bottoms N × C × spatial, tops N × num_output × out, out = stride · (in − 1) + dilation · (kernel − 1) + 1 − 2·pad.
    Blobs: W, C × num_output/group × kernel; b, num_output, if ``bias_term``. Parameters and limits are Convolution's.
    """

    def weight_channels(self) -> tuple[int, int]:
        """C × num_output/group."""
        return self._channels, self._num_output // self._group

    def convolve(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        stride: tuple[int, ...],
        pad: tuple[int, ...],
        dilation: tuple[int, ...],
    ) -> torch.Tensor:
        """PyTorch's transposed convolution."""
        transposed = _DECONVOLUTIONS[x.dim() - 2]
        y: torch.Tensor = transposed(x, weight, bias, stride, pad, 0, self._group, dilation)
        return y
