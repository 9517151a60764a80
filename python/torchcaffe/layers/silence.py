"""Silence: reads blobs that nothing else reads, so that they are no outputs of the net."""

from __future__ import annotations

from torchcaffe.layers.base import Blobs, ZeroGradientLayer


class Silence(ZeroGradientLayer):
    """Any number of bottoms, no top; bottom diffs are 0."""

    min_num_bottom = 1
    exact_num_top = 0

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """There is no top."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Nothing to do."""
