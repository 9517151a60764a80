"""LRN: local response normalization. Source: Krizhevsky, Sutskever and Hinton (2012), section 3.3."""

from __future__ import annotations

import torch
from torch.nn import functional

from caffefiles.proto import caffe_pb2
from torchcaffe.layers.base import Blobs, Flags, Layer


class LRN(Layer):
    """y = x · s^−``beta``; dx = dy · s^−beta − (2 · alpha · beta / n) · x · Σ dy · y / s.

    ACROSS_CHANNELS: s = ``k`` + (``alpha`` / n) Σ x² over the ``local_size`` (odd) channels around, n = local_size.
    WITHIN_CHANNEL: s = 1 + (alpha / n) Σ x² over the square of that side around, n = local_size². What lies
    outside counts as 0. N × C × H × W.

    Differs from Caffe in: in place is refused, where Caffe normalizes twice. ``engine`` has no effect.
    """

    exact_num_bottom = 1
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the parameters.

        Raises:
            CaffeError: an even size, or in place.
        """
        param = self.param.lrn_param
        if param.local_size % 2 == 0:
            raise self.fail(f"local_size {param.local_size} is even", "it must be odd")
        self.refuse_in_place(bottom, top)
        self._size: int = param.local_size
        self._across = param.norm_region == caffe_pb2.LRNParameter.ACROSS_CHANNELS
        self._share: float = param.alpha / (self._size if self._across else self._size**2)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The bottom's shape.

        Raises:
            CaffeError: not four axes.
        """
        if bottom[0].num_axes != 4:
            raise self.fail(f"a bottom of shape {bottom[0].shape} has other than 4 axes", "N x C x H x W")
        top[0].reshape_like(bottom[0])

    def _sums(self, tensor: torch.Tensor) -> torch.Tensor:
        """For each position the sum over those around it."""
        half = self._size // 2
        if not self._across:
            return functional.avg_pool2d(tensor, self._size, 1, half, divisor_override=1)
        total = tensor.clone()
        for shift in range(1, min(half, tensor.shape[1] - 1) + 1):
            total[:, shift:].add_(tensor[:, :-shift])
            total[:, :-shift].add_(tensor[:, shift:])
        return total

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps s for backward."""
        x, param = bottom[0].data, self.param.lrn_param
        self._scale = self._sums(x.square()).mul_(self._share).add_(param.k if self._across else 1)
        torch.mul(x, self._scale.pow(-param.beta), out=top[0].data)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        beta = self.param.lrn_param.beta
        dy, dx = top[0].diff, bottom[0].diff
        sums = self._sums((dy * top[0].data).div_(self._scale))
        torch.mul(dy, self._scale.pow(-beta), out=dx)
        dx.addcmul_(sums, bottom[0].data, value=-2 * self._share * beta)
