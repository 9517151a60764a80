"""MultinomialLogisticLoss: of probabilities, such as a Softmax layer's."""

from __future__ import annotations

from torchcaffe.layers.base import Blobs, Flags
from torchcaffe.layers.labels import ExampleLossLayer, read_example_labels

_LEAST = 1e-20


class MultinomialLogisticLoss(ExampleLossLayer):
    """E = −Σ log(max(p[label], 1e-20)) / N; dp[label] = −1 / (max(p[label], 1e-20) · N), other dp 0.

    Bottoms: probabilities N × C (later axes count as classes), N labels.

    Differs from Caffe in: a label outside 0..C−1 is an error, where Caffe reads outside its memory.
    """

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the labels."""
        count = bottom[0].shape[0]
        self._target = read_example_labels(self, *bottom)
        self._picked = bottom[0].data.view(count, -1).gather(1, self._target).clamp_(min=_LEAST)
        top[0].data.copy_(-self._picked.log().sum() / count)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        self.refuse_target_gradient(propagate_down)
        if not propagate_down[0]:
            return
        count = bottom[0].shape[0]
        gradient = -(top[0].diff / count) / self._picked
        bottom[0].diff.zero_().view(count, -1).scatter_(1, self._target, gradient)
