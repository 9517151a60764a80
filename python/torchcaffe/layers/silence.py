"""Silence: reads blobs that nothing else reads, so that they are no outputs of the net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torchcaffe.layers.base import Blobs, Layer


class Silence(Layer):
    """Any number of bottoms, no top; bottom diffs are 0."""

    min_num_bottom: ClassVar[int | None] = 1
    exact_num_top: ClassVar[int | None] = 0

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """There is no top."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Nothing to do."""

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Zeros."""
        for blob, wanted in zip(bottom, propagate_down):
            if wanted:
                blob.diff.zero_()
