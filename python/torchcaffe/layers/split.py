"""Split: one blob to several readers."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, Layer


class Split(Layer):
    """tops = bottom, the same memory; bottom diff = sum of the tops' diffs. See torchcaffe.splits."""

    exact_num_bottom = 1
    min_num_top = 1

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """All tops have the bottom's shape.

        Raises:
            CaffeError: a top is the bottom.
        """
        self.refuse_in_place(bottom, top)
        for blob in top:
            blob.reshape_like(bottom[0])
            blob.share_data(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Nothing to copy: the memory is shared."""

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        diff = bottom[0].diff
        if len(top) == 1:
            diff.copy_(top[0].diff)
            return
        torch.add(top[0].diff, top[1].diff, out=diff)
        for blob in top[2:]:
            diff.add_(blob.diff)
