"""EuclideanLoss."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, LossLayer


class EuclideanLoss(LossLayer):
    """E = Σ (a − b)² / 2N, N × ... both; da = (a − b)/N, db = −da. Both bottoms get gradients."""

    no_force_backward = ()

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """A scalar.

        Raises:
            CaffeError: the bottoms' examples differ in number or size.
        """
        super().reshape(bottom, top)
        if bottom[0].count_between(1) != bottom[1].count_between(1):
            raise self.fail(
                f"bottoms of shapes {bottom[0].shape} and {bottom[1].shape}", "as many values in each example"
            )

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the difference."""
        self._difference = bottom[0].data - bottom[1].data.view(bottom[0].shape)
        flat = self._difference.view(-1)
        top[0].data.copy_(torch.dot(flat, flat) / (2 * bottom[0].legacy_dim(0)))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        for blob, sign, wanted in zip(bottom, (1, -1), propagate_down):
            if wanted:
                factor = top[0].diff * (sign / blob.legacy_dim(0))
                blob.diff.copy_((self._difference * factor).view(blob.shape))
