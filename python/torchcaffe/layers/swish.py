"""Swish."""

from __future__ import annotations

import torch

from torchcaffe.layers.elementwise import Elementwise


class Swish(Elementwise):
    """y = x · s with s = σ(``beta`` · x); dx = dy · (beta · y + s · (1 − beta · y)). Right in place, too."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        """x s, keeping s for backward."""
        self._sigmoid = x.mul(self.param.swish_param.beta).sigmoid_()
        return x * self._sigmoid

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        scaled = y * self.param.swish_param.beta
        return torch.addcmul(scaled, self._sigmoid, 1 - scaled)
