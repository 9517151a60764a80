"""ELU: exponential linear unit."""

from __future__ import annotations

import torch

from torchcaffe.layers.elementwise import Elementwise


class ELU(Elementwise):
    """y = x where x > 0, else ``alpha`` · (exp x − 1); dx = dy where x > 0, else (y + alpha) · dy.

    In place x is judged by y: right for an alpha that is not negative.
    """

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, x.clamp(max=0).exp_().sub_(1).mul_(self.param.elu_param.alpha))

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, torch.ones_like(y), y + self.param.elu_param.alpha)
