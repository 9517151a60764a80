"""Sigmoid."""

from __future__ import annotations

import torch

from torchcaffe.layers.elementwise import Elementwise


class Sigmoid(Elementwise):
    """y = 1 / (1 + exp −x), dx = dy · y · (1 − y). Right in place, too. ``engine`` has no effect."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.sigmoid()

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return y * (1 - y)
