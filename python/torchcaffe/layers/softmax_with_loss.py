"""SoftmaxWithLoss: multinomial logistic loss of a softmax."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, LossLayer
from torchcaffe.layers.labels import check_label_count, read_labels
from torchcaffe.layers.normalization import mode, normalizer

_TINY = torch.finfo(torch.float32).tiny


class SoftmaxWithLoss(LossLayer):
    """E = −Σ log(max(p[label], FLT_MIN)) / Z, p the softmax of the scores along ``softmax_param.axis`` (1).

    Bottoms: scores N × C × ..., labels with one integer in 0..C−1 for each position outside the class axis. Tops: E, a
    scalar; optionally p. Z by ``loss_param``; positions labelled ``ignore_label`` count for nothing.
    dscores = (p − onehot) · loss_weight / Z, at p < FLT_MIN too.

    Differs from Caffe in: 1. A label outside 0..C−1 is an error, where Caffe reads outside the array. 2. The second
    top works, while Caffe aborts at its loss_weight, given or not.
    """

    exact_num_top = None
    min_num_top = 1
    max_num_top = 2

    _probabilities: torch.Tensor | None = None

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        loss_param = self.param.loss_param
        self._ignore: int | None = loss_param.ignore_label if loss_param.HasField("ignore_label") else None
        self._normalization = mode(loss_param)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        self._axis = bottom[0].canonical_axis(self.param.softmax_param.axis)
        check_label_count(self, bottom[0], bottom[1], self._axis)
        if len(top) > 1:
            top[1].reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """The loss, keeping the probabilities and labels for backward."""
        scores = bottom[0]
        self._outer, self._inner = scores.count_between(0, self._axis), scores.count_between(self._axis + 1)
        self._target, self._valid = read_labels(self, scores, bottom[1], self._axis, self._ignore)
        probabilities = torch.softmax(scores.data.view(self._outer, -1, self._inner), 1)
        self._probabilities = probabilities
        self._normalizer = normalizer(self._normalization, self._outer, self._inner, self._valid)
        losses = -probabilities.gather(1, self._target).clamp_(min=_TINY).log_()
        if self._valid is not None:
            losses = losses.where(self._valid, torch.zeros_like(losses))
        torch.div(losses.sum(), self._normalizer, out=top[0].data)
        if len(top) > 1:
            top[1].data.copy_(probabilities.view(scores.shape))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """(p − onehot) · loss_weight / Z."""
        self.refuse_target_gradient(propagate_down)
        if not propagate_down[0]:
            return
        if self._probabilities is None:
            raise self.fail("backward without a forward before it")
        diff = bottom[0].diff.view(self._probabilities.shape)
        diff.copy_(self._probabilities)
        diff.scatter_add_(1, self._target, torch.full_like(self._target, -1, dtype=diff.dtype))
        if self._valid is not None:
            diff.mul_(self._valid)
        diff.mul_(top[0].diff / self._normalizer)
