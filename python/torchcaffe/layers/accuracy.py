"""Accuracy: the share of examples whose label is among the ``top_k`` best scores."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, ZeroGradientLayer
from torchcaffe.layers.labels import check_label_count, read_labels


class Accuracy(ZeroGradientLayer):
    """Right iff fewer than ``top_k`` (1) other classes score at least as much as the label's: ties count against.

    Bottoms: scores N × C × ... (class axis ``axis``, 1), labels, one for each other position. Tops: a scalar in 0..1;
    optionally C numbers, the same for each class. Positions labelled ``ignore_label`` do not count.

    Differs from Caffe in: 1. backward gives zeros, where Caffe aborts on the CPU. 2. A label outside 0..C−1 is
    an error.
    """

    exact_num_bottom = 2
    min_num_top = 1
    max_num_top = 2
    no_force_backward = (1,)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """A scalar, and C.

        Raises:
            CaffeError: top_k exceeds the classes, or the labels do not match the scores.
        """
        param = self.param.accuracy_param
        self._axis = bottom[0].canonical_axis(param.axis)
        check_label_count(self, bottom[0], bottom[1], self._axis)
        if param.top_k > bottom[0].shape[self._axis]:
            raise self.fail(f"top_k {param.top_k} exceeds the {bottom[0].shape[self._axis]} classes")
        top[0].reshape()
        if len(top) > 1:
            top[1].reshape(bottom[0].shape[self._axis])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        param, axis, scores = self.param.accuracy_param, self._axis, bottom[0]
        ignore = param.ignore_label if param.HasField("ignore_label") else None
        target, valid = read_labels(self, scores, bottom[1], axis, ignore)
        values = scores.data.view(scores.count_between(0, axis), -1, scores.count_between(axis + 1))
        rivals = (values >= values.gather(1, target)).sum(1, keepdim=True) - 1
        counted = torch.ones_like(target, dtype=torch.bool) if valid is None else valid
        right = (rivals < param.top_k) & counted
        top[0].data.copy_(right.sum() / counted.sum().clamp(min=1))
        if len(top) > 1:
            for_class = [
                torch.zeros(values.shape[1], dtype=self.dtype, device=values.device).index_add_(
                    0, target.flatten(), hits.flatten().to(self.dtype)
                )
                for hits in (right, counted)
            ]
            top[1].data.copy_(for_class[0] / for_class[1].clamp(min=1))
