"""BNLL: binomial normal log likelihood, also called softplus."""

from __future__ import annotations

import torch

from torchcaffe.layers.elementwise import Elementwise


class BNLL(Elementwise):
    """y = log(1 + exp x), computed as max(x, 0) + log(1 + exp −|x|); dx = dy · σ(x).

    In place the gradient is taken at y, as in Caffe, and so is not the true one.
    """

    def value(self, x: torch.Tensor) -> torch.Tensor:
        """The softplus, without overflow."""
        return x.abs().neg_().exp_().log1p_().add_(x.clamp(min=0))

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x.sigmoid()
