"""Softmax."""

from __future__ import annotations

from typing import ClassVar

import torch

from torchcaffe.layers.function import FunctionLayer


class Softmax(FunctionLayer):
    """y = exp(x − max x) / Σ exp(x − max x) along ``softmax_param.axis`` (1); top of the bottom's shape."""

    exact_num_bottom: ClassVar[int | None] = 1
    exact_num_top: ClassVar[int | None] = 1

    def function(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The softmax along the axis."""
        return torch.softmax(inputs[0], self.param.softmax_param.axis)
