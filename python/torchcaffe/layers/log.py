"""Log."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs
from torchcaffe.layers.elementwise import Elementwise, scaled_base


class Log(Elementwise):
    """y = log(shift + scale · x) to the base ``base``, −1 being e; dx = dy · scale / ((shift + scale · x) ln base).

    Differs from Caffe in: in place the gradient is the true one, while Caffe overwrites dy before it has read it.
    """

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the constants.

        Raises:
            CaffeError: a base that is neither −1 nor positive, or is 1.
        """
        logarithm = scaled_base(self, self.param.log_param.base)
        if logarithm == 0:
            raise self.fail("there are no logarithms to the base 1")
        self._factor = 1 / logarithm

    keeps_x = True

    def _argument(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul(self.param.log_param.scale).add_(self.param.log_param.shift)

    def value(self, x: torch.Tensor) -> torch.Tensor:
        """The logarithm; NaN or −∞ where its argument is not positive."""
        return self._argument(x).log_().mul_(self._factor)

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self._argument(x).reciprocal_().mul_(self.param.log_param.scale * self._factor)
