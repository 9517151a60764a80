"""Scale: multiplies a blob by another along some of its axes, and may add a bias."""

from __future__ import annotations

import torch

from caffefiles.proto import caffe_pb2
from torchcaffe.layers.base import Blobs, Flags, Layer
from torchcaffe.layers.broadcast import along, fold, operand_shape


class Scale(Layer):
    """y = s · x (+ b), s and b lying along x's axes from ``axis`` (1) on; dx = s · dy, ds = Σ x · dy, db = Σ dy.

    s is the second bottom, of any number of axes, or else a blob of ``num_axes`` (1; −1: all) axes of x, filled by
    ``filler`` (1 if unset). b, if ``bias_term``, is the last blob, of s's shape. In place or not.
    """

    min_num_bottom = 1
    max_num_bottom = 2
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Make s and b.

        Raises:
            CaffeError: the bottom has fewer axes.
        """
        param = self.param.scale_param
        filler = param.filler if param.HasField("filler") else caffe_pb2.FillerParameter(type="constant", value=1)
        shape = bottom[1].shape if len(bottom) > 1 else operand_shape(self, param, bottom[0])
        parts = [] if len(bottom) > 1 else [(shape, filler)]
        if param.bias_term:
            parts.append((shape, param.bias_filler))
        self.init_blobs(*parts)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The bottom's shape.

        Raises:
            CaffeError: s does not fit it, or the bias does not fit s.
        """
        self._scale = bottom[1] if len(bottom) > 1 else self.blobs[0]
        self._bias = self.blobs[-1] if self.param.scale_param.bias_term else None
        self._folded = fold(self, self.param.scale_param, bottom[0], self._scale)
        if self._bias is not None and self._bias.count != self._scale.count:
            raise self.fail(f"a bias of shape {self._bias.shape} for a scale of shape {self._scale.shape}")
        top[0].reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Multiply and add; keeps x if it is about to be overwritten."""
        x, y = bottom[0].data.view(self._folded), top[0].data.view(self._folded)
        self._x = x.clone() if top[0] is bottom[0] and self.needs_backward else x
        torch.mul(x, along(self._scale.data), out=y)
        if self._bias is not None:
            y.add_(along(self._bias.data))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """The three sums above, the bottom's diff last since it may be the top's."""
        dy = top[0].diff.view(self._folded)
        if self._bias is not None and self.param_propagate_down[-1]:
            self._bias.accumulate(dy.sum((0, 2)).view(self._bias.shape))
        if propagate_down[1] if len(bottom) > 1 else self.param_propagate_down[0]:
            gradient = (dy * self._x).sum((0, 2)).view(self._scale.shape)
            bottom[1].diff.copy_(gradient) if len(bottom) > 1 else self._scale.accumulate(gradient)
        if propagate_down[0]:
            torch.mul(dy, along(self._scale.data), out=bottom[0].diff.view(self._folded))
