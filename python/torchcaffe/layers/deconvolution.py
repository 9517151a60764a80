"""Deconvolution: convolution's transpose."""

from __future__ import annotations

from typing import Callable, ClassVar

import torch
from torch.nn import functional

from torchcaffe.layers.convolution import Convolution


class Deconvolution(Convolution):
    """Forward is Convolution's gradient by its bottom, and the other way round.

    Bottoms N × C × spatial, tops N × num_output × out, out = stride · (in − 1) + dilation · (kernel − 1) + 1 − 2·pad.
    Blobs: W, C × num_output/group × kernel; b, num_output, if ``bias_term``. Parameters and limits are Convolution's.
    """

    convolutions: ClassVar[dict[int, Callable[..., torch.Tensor]]] = {
        1: functional.conv_transpose1d,
        2: functional.conv_transpose2d,
        3: functional.conv_transpose3d,
    }

    def weight_channels(self) -> tuple[int, int]:
        """C × num_output/group."""
        return self._channels, self._num_output // self._group
