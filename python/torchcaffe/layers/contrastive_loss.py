"""ContrastiveLoss. Source: Hadsell, Chopra and LeCun (2006)."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, LossLayer


class ContrastiveLoss(LossLayer):
    """E = Σ (similar: d²; else max(``margin`` − d, 0)²) / 2N, d = ‖a − b‖; ``legacy_version``: max(margin − d², 0).

    Bottoms: a and b, N × C (× 1 × 1); similar, N values (× 1 ...), not 0 if similar. da = −db, similar pairs:
    (a − b)/N; others where the maximum is positive: −(margin − d) (a − b) / ((d + 1e-4) N), legacy −(a − b)/N.
    """

    exact_num_bottom = 3
    no_force_backward = (2,)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """A scalar.

        Raises:
            CaffeError: a and b are not vectors of one size, or there is not one label a pair.
        """
        super().reshape(bottom, top)
        a, b, similar = bottom
        count = a.legacy_dim(0)
        if a.count != b.count or any(blob.count != blob.legacy_dim(0) * blob.legacy_dim(1) for blob in (a, b)):
            raise self.fail(f"bottoms of shapes {a.shape} and {b.shape}", "both must be N x C (x 1 x 1)")
        if similar.legacy_dim(0) != count or similar.count != count:
            raise self.fail(f"labels of shape {similar.shape} for {count} pairs", "one label a pair")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps differences and distances."""
        param, count = self.param.contrastive_loss_param, bottom[0].shape[0]
        self._difference = (bottom[0].data - bottom[1].data).view(count, -1)
        self._squared = self._difference.square().sum(1)
        self._similar = bottom[2].data.reshape(count).trunc() != 0
        if param.legacy_version:
            other = (param.margin - self._squared).clamp_(min=0)
        else:
            other = (param.margin - self._squared.sqrt()).clamp_(min=0).square_()
        top[0].data.copy_(torch.where(self._similar, self._squared, other).sum() / (2 * count))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """The formula above.

        Raises:
            CaffeError: the labels' gradient is asked for.
        """
        if propagate_down[2]:
            raise self.fail("cannot backpropagate to its label inputs (bottom 2)", "feed them from a data layer")
        param = self.param.contrastive_loss_param
        if param.legacy_version:
            other = -(param.margin - self._squared > 0).to(self._squared.dtype)
        else:
            distance = self._squared.sqrt()
            gap = (param.margin - distance).clamp_(min=0)
            other = -gap / (distance + 1e-4)
        factor = torch.where(self._similar, torch.ones_like(other), other) * (top[0].diff / bottom[0].shape[0])
        gradient = self._difference * factor[:, None]
        for blob, sign, wanted in zip(bottom, (1, -1), propagate_down):
            if wanted:
                blob.diff.copy_((gradient * sign).view(blob.shape))
