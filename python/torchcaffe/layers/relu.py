"""ReLU."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, Layer


class ReLU(Layer):
    """y = max(x, 0) + ``negative_slope`` · min(x, 0); dx = dy where x > 0, else negative_slope · dy.

    In place, x is judged by y, as in Caffe: right for a slope that is not negative.
    """

    exact_num_bottom = 1
    exact_num_top = 1

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, slope = bottom[0].data, self.param.relu_param.negative_slope
        if slope:
            torch.nn.functional.leaky_relu_(x, slope) if top[0] is bottom[0] else top[0].data.copy_(
                torch.nn.functional.leaky_relu(x, slope)
            )
        else:
            torch.clamp(x, min=0, out=top[0].data)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        x, dy, slope = bottom[0].data, top[0].diff, self.param.relu_param.negative_slope
        if slope:
            bottom[0].diff.copy_(torch.where(x > 0, dy, dy * slope))
        else:
            torch.mul(dy, x > 0, out=bottom[0].diff)
