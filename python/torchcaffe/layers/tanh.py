"""TanH."""

from __future__ import annotations

import torch

from torchcaffe.layers.elementwise import Elementwise


class TanH(Elementwise):
    """y = tanh x, dx = dy · (1 − y²). Right in place, too. ``engine`` has no effect."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.tanh()

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return 1 - y * y
