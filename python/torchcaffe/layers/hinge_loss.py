"""HingeLoss: one against all."""

from __future__ import annotations

import torch

from caffefiles.proto import caffe_pb2
from torchcaffe.layers.base import Blobs, Flags
from torchcaffe.layers.labels import ExampleLossLayer, read_example_labels


class HingeLoss(ExampleLossLayer):
    """E = Σ max(0, 1 − z)^p / N, z = x of the label's class, −x of the others; p = 1, or 2 for ``norm: L2``.

    Bottoms: scores N × C (later axes count as classes), N labels. dx = ∓ p · max(0, 1 − z)^(p − 1) / N, 0 at z ≥ 1.

    Differs from Caffe in: a label outside 0..C−1 is an error, where Caffe writes outside its memory.
    """

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the margins' violations and signs."""
        count = bottom[0].shape[0]
        scores = bottom[0].data.view(count, -1)
        target = read_example_labels(self, *bottom)
        self._sign = torch.ones_like(scores).scatter_(1, target, -1)
        self._violation = (1 + self._sign * scores).clamp_(min=0)
        squared = self.param.hinge_loss_param.norm == caffe_pb2.HingeLossParameter.L2
        top[0].data.copy_((self._violation.square() if squared else self._violation).sum() / count)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        self.refuse_target_gradient(propagate_down)
        if not propagate_down[0]:
            return
        squared = self.param.hinge_loss_param.norm == caffe_pb2.HingeLossParameter.L2
        slope = 2 * self._violation if squared else self._violation.sign()
        bottom[0].diff.copy_((slope * self._sign * (top[0].diff / bottom[0].shape[0])).view(bottom[0].shape))
