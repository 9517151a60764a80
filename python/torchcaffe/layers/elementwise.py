"""Elementwise: what the layers that map each value by itself share."""

from __future__ import annotations

from typing import ClassVar

import torch

from torchcaffe.layers.base import Blobs, Flags, Layer


class Elementwise(Layer):
    """y = value(x), dx = slope(x, y) · dy, value by value; top of the bottom's shape.

    In place, the slope gets y as its x, as in Caffe, unless the type keeps x: the gradient is then the true one only
    where the slope is written in terms of y, or y tells the same as x.
    """

    keeps_x: ClassVar[bool] = False
    """Is x copied, in place, for the slope?"""

    exact_num_bottom = 1
    exact_num_top = 1

    def value(self, x: torch.Tensor) -> torch.Tensor:
        """y, not changing x."""
        raise NotImplementedError(f"{type(self).__name__}.value")

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """dy/dx, changing neither."""
        raise NotImplementedError(f"{type(self).__name__}.slope")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The bottom's shape."""
        top[0].reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """The value."""
        x = bottom[0].data
        in_place = top[0] is bottom[0]
        self._x = x.clone() if in_place and self.keeps_x and self.needs_backward else None
        top[0].data.copy_(self.value(x))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """The slope times the top's diff."""
        if propagate_down[0]:
            x = bottom[0].data if self._x is None else self._x
            torch.mul(top[0].diff, self.slope(x, top[0].data), out=bottom[0].diff)


def scaled_base(layer: Layer, base: float) -> float:
    """ln(base) for the ``base`` of an Exp or Log layer, where −1 stands for e.

    Raises:
        CaffeError: the base is neither −1 nor positive.
    """
    if base == -1:
        return 1.0
    if not base > 0:
        raise layer.fail(f"base {base} is not positive", "give a positive base, or -1 for e")
    return float(torch.tensor(base).log())
