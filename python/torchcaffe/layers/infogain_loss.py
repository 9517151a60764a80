"""InfogainLoss: a softmax's multinomial logistic loss, weighted by a matrix of what each confusion tells."""

from __future__ import annotations

import numpy as np
import torch

from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_binary
from torchcaffe.layers.base import Blobs, Flags, LossLayer
from torchcaffe.layers.labels import check_label_count, read_labels
from torchcaffe.layers.normalization import mode, normalizer

_LEAST = 1e-20


class InfogainLoss(LossLayer):
    """E = −Σ Σ_k H[label, k] log(max(p_k, 1e-20)) / Z, p the softmax of the scores.

    Bottoms: scores, labels (one for each position outside the class axis, ``axis`` (1)), and H, 1 × 1 × C × C,
    unless it is in the binaryproto ``source``. Tops: E, a scalar; optionally p. Z by ``loss_param``; positions labelled
    ``ignore_label`` count for nothing. dscores_k = (p_k Σ_j H[label, j] − H[label, k]) / Z.

    Differs from Caffe in: 1. A label outside 0..C−1 is an error, where Caffe reads outside its memory.
    2. ``force_backward`` leaves H alone, where Caffe aborts at it. 3. The second top works, while Caffe aborts at
    its loss_weight, given or not.
    """

    exact_num_bottom = None
    min_num_bottom = 2
    max_num_bottom = 3
    exact_num_top = None
    min_num_top = 1
    max_num_top = 2
    no_force_backward = (1, 2)

    _stored: torch.Tensor | None = None

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read H, if it is not a bottom.

        Raises:
            CaffeError: it is neither a bottom nor in a file, or the file cannot be read; loss_param has normalize.
        """
        loss_param, source = self.param.loss_param, self.param.infogain_loss_param.source
        if loss_param.HasField("normalize"):
            raise self.fail("loss_param.normalize is not for this type", "use normalization")
        self._ignore: int | None = loss_param.ignore_label if loss_param.HasField("ignore_label") else None
        self._normalization = mode(loss_param)
        if len(bottom) < 3:
            if not source:
                raise self.fail("has no infogain matrix", "give infogain_loss_param.source, or a third bottom")
            values = np.array(read_binary(source, caffe_pb2.BlobProto()).data, np.float32)
            self._stored = torch.from_numpy(values).to(self.device, self.dtype)

    def to(self, device: torch.device) -> None:
        """Move H, too."""
        super().to(device)
        if self._stored is not None:
            self._stored = self._stored.to(device)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """A scalar, and the scores' shape.

        Raises:
            CaffeError: H is not C × C, or the labels do not match.
        """
        super().reshape(bottom, top)
        self._axis = bottom[0].canonical_axis(self.param.infogain_loss_param.axis)
        check_label_count(self, bottom[0], bottom[1], self._axis)
        classes = bottom[0].shape[self._axis]
        values = bottom[2].count if self._stored is None else self._stored.numel()
        if values != classes**2:
            raise self.fail(f"an infogain matrix of {values} values for {classes} classes", "classes x classes")
        if len(top) > 1:
            top[1].reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the probabilities, and each position's row of H."""
        scores, axis = bottom[0], self._axis
        outer, inner = scores.count_between(0, axis), scores.count_between(axis + 1)
        classes = scores.shape[axis]
        matrix = (bottom[2].data if self._stored is None else self._stored).reshape(classes, classes)
        target, self._valid = read_labels(self, scores, bottom[1], axis, self._ignore)
        self._probabilities = torch.softmax(scores.data.view(outer, classes, inner), 1)
        self._weights = matrix[target.view(outer, inner)].transpose(1, 2)
        if self._valid is not None:
            self._weights = self._weights * self._valid
        self._normalizer = normalizer(self._normalization, outer, inner, self._valid)
        losses = self._weights * self._probabilities.clamp(min=_LEAST).log_()
        top[0].data.copy_(-losses.sum() / self._normalizer)
        if len(top) > 1:
            top[1].data.copy_(self._probabilities.view(scores.shape))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """The formula above.

        Raises:
            CaffeError: the gradient of labels or H is asked for.
        """
        self.refuse_target_gradient(propagate_down)
        if len(bottom) > 2 and propagate_down[2]:
            raise self.fail("cannot backpropagate to its infogain matrix (bottom 2)", "feed it from a data layer")
        if not propagate_down[0]:
            return
        gradient = self._probabilities * self._weights.sum(1, keepdim=True) - self._weights
        bottom[0].diff.copy_((gradient * (top[0].diff / self._normalizer)).view(bottom[0].shape))
