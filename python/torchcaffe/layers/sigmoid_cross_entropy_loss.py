"""SigmoidCrossEntropyLoss: a logistic loss for each value."""

from __future__ import annotations

import torch
from torch.nn import functional

from caffefiles.proto import caffe_pb2
from torchcaffe.layers.base import Blobs, Flags, LossLayer
from torchcaffe.layers.normalization import mode, normalizer


class SigmoidCrossEntropyLoss(LossLayer):
    """E = −Σ (t log p + (1 − t) log(1 − p)) / Z, p = σ(x); dx = (p − t) / Z.

    Bottoms: scores N × ..., targets t in 0..1, as many. Z by ``loss_param``, BATCH_SIZE (N) if unset, unlike the other
    losses'; targets that are ``ignore_label`` count for nothing.
    """

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        loss_param = self.param.loss_param
        self._ignore: int | None = loss_param.ignore_label if loss_param.HasField("ignore_label") else None
        given = loss_param.HasField("normalization") or loss_param.HasField("normalize")
        self._normalization = mode(loss_param) if given else int(caffe_pb2.LossParameter.BATCH_SIZE)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """A scalar.

        Raises:
            CaffeError: not one target a score.
        """
        super().reshape(bottom, top)
        if bottom[0].count != bottom[1].count:
            raise self.fail(f"bottoms of shapes {bottom[0].shape} and {bottom[1].shape}", "one target for each score")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Compute the loss in a form that cannot overflow, and keep which targets count."""
        x, target = bottom[0].data, bottom[1].data.view(bottom[0].shape)
        losses = functional.binary_cross_entropy_with_logits(x, target, reduction="none")
        self._valid = None
        if self._ignore is not None:
            self._valid = target.trunc() != self._ignore
            losses = losses * self._valid
        outer = bottom[0].shape[0] if bottom[0].shape else 1
        self._normalizer = normalizer(self._normalization, outer, bottom[0].count // max(outer, 1), self._valid)
        top[0].data.copy_(losses.sum() / self._normalizer)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        self.refuse_target_gradient(propagate_down)
        if not propagate_down[0]:
            return
        gradient = torch.sigmoid(bottom[0].data) - bottom[1].data.view(bottom[0].shape)
        if self._valid is not None:
            gradient.mul_(self._valid)
        bottom[0].diff.copy_(gradient.mul_(top[0].diff / self._normalizer))
