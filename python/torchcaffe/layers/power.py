"""Power."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags
from torchcaffe.layers.elementwise import Elementwise


class Power(Elementwise):
    """y = (shift + scale · x)^power; dx = dy · power · scale · (shift + scale · x)^(power − 1).

    A power of 0 gives 1 everywhere.

    Differs from Caffe in: 1. Where shift + scale · x = 0 the gradient is the formula's (0 for a power above 1), while
    Caffe, which divides y by it, has NaN. 2. In place the gradient is the true one, while Caffe overwrites dy before it
    has read it.
    """

    keeps_x = True

    def _argument(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul(self.param.power_param.scale).add_(self.param.power_param.shift)

    def value(self, x: torch.Tensor) -> torch.Tensor:
        """The power; NaN for a negative argument and a broken power."""
        param = self.param.power_param
        if param.power == 0:
            return torch.ones_like(x)
        argument = self._argument(x)
        return argument if param.power == 1 else argument.pow_(param.power)

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        param = self.param.power_param
        factor = param.power * param.scale
        if param.power == 1:
            return torch.full_like(x, factor)
        return self._argument(x).pow_(param.power - 1).mul_(factor)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """The slope times the top's diff; of a constant 0, whatever the top's diff is."""
        param = self.param.power_param
        if param.power * param.scale != 0:
            super().backward(top, propagate_down, bottom)
        elif propagate_down[0]:
            bottom[0].diff.zero_()
