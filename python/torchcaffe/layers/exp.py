"""Exp."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs
from torchcaffe.layers.elementwise import Elementwise, scaled_base


class Exp(Elementwise):
    """y = base^(shift + scale · x), base −1 standing for e; dx = dy · y · scale · ln base. Right in place, too."""

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the constants.

        Raises:
            CaffeError: a base that is neither −1 nor positive.
        """
        param = self.param.exp_param
        logarithm = scaled_base(self, param.base)
        self._inner = logarithm * param.scale
        self._outer = float(torch.tensor(logarithm * param.shift, dtype=torch.float64).exp()) if param.shift else 1.0

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul(self._inner).exp_().mul_(self._outer)

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return y.mul(self._inner)
