"""Threshold."""

from __future__ import annotations

import torch

from torchcaffe.layers.elementwise import Elementwise


class Threshold(Elementwise):
    """y = 1 where x > ``threshold``, else 0.

    Differs from Caffe in: backward gives zeros, where Caffe aborts.
    """

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.gt(self.param.threshold_param.threshold)

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(y)
