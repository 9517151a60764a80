"""Tile."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs
from torchcaffe.layers.function import FunctionLayer


class Tile(FunctionLayer):
    """The bottom ``tiles`` times one after another along ``axis`` (1); dx is the sum of the copies' diffs."""

    exact_num_bottom = 1
    exact_num_top = 1

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """``tiles`` times as long along the axis.

        Raises:
            CaffeError: tiles is missing or not positive.
        """
        param = self.param.tile_param
        if param.tiles < 1:
            raise self.fail(f"tiles is {param.tiles}" if param.HasField("tiles") else "tiles is missing", "at least 1")
        self._repeats = [1] * bottom[0].num_axes
        self._repeats[bottom[0].canonical_axis(param.axis)] = param.tiles
        super().reshape(bottom, top)

    def function(self, *inputs: torch.Tensor) -> torch.Tensor:
        return inputs[0].repeat(self._repeats)
