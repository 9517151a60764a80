"""Clip."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs
from torchcaffe.layers.elementwise import Elementwise


class Clip(Elementwise):
    """y = max(min(x, ``max``), ``min``); dx = dy where min ≤ x ≤ max, else 0.

    In place y lies within the bounds, so that all of dy passes, as in Caffe.
    """

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the bounds.

        Raises:
            CaffeError: one is missing.
        """
        param = self.param.clip_param
        if not (param.HasField("min") and param.HasField("max")):
            raise self.fail("clip_param needs both min and max")

    def value(self, x: torch.Tensor) -> torch.Tensor:
        """Clipped, from above first."""
        return x.clamp(max=self.param.clip_param.max).clamp_(min=self.param.clip_param.min)

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x.ge(self.param.clip_param.min) & x.le(self.param.clip_param.max)
