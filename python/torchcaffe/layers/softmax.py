"""Softmax."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs
from torchcaffe.layers.function import FunctionLayer


class Softmax(FunctionLayer):
    """y = exp(x − max x) / Σ exp(x − max x) along ``softmax_param.axis`` (1); top of the bottom's shape."""

    exact_num_bottom = 1
    exact_num_top = 1

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The bottom's shape.

        Raises:
            CaffeError: there is no such axis.
        """
        bottom[0].canonical_axis(self.param.softmax_param.axis)
        top[0].reshape_like(bottom[0])

    def function(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.softmax(inputs[0], self.param.softmax_param.axis)
