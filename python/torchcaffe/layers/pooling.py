"""Pooling: maximum, average or a random value of windows of a plane."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from caffefiles.proto import caffe_pb2
from torchcaffe import common
from torchcaffe.layers.base import Blobs
from torchcaffe.layers.function import FunctionLayer

_Param = caffe_pb2.PoolingParameter
_LOWEST = torch.finfo(torch.float32).min


class Pooling(FunctionLayer):
    """MAX, AVE or STOCHASTIC over kernel_h × kernel_w windows of N × C × H × W.

    out = ceil((H + 2·pad − kernel) / stride) + 1 (floor for ``round_mode: FLOOR``); with padding a last window that
    would start at or past H + pad is dropped. AVE divides by the size of the window within H + pad, pads included. MAX
    takes the first of equals, row by row, and gives it the gradient; its optional second top holds h·W + w.
    ``global_pooling`` is one window, the plane.

    STOCHASTIC (Zeiler and Fergus, 2013; values not negative, no padding) takes, in TRAIN, the first value at which the
    running sum, row by row, reaches u · Σ x, u being uniform in 0..1: each with probability x / Σ x; it gets the
    gradient. In TEST Σ x² / Σ x, 0 if Σ x = 0.

    Differs from Caffe in: 1. Caffe has STOCHASTIC on a GPU only, where cuRAND draws u; here u is drawn from Caffe's
    generator, one for each window, wherever the layer runs. 2. Its gradient in TEST is the true one, where Caffe's is
    that of the last TRAIN. 3. Backward of a window that lies wholly beyond the plane (stride > kernel) changes nothing,
    where Caffe writes outside its memory.
    """

    exact_num_bottom = 1
    min_num_top = 1
    max_num_top = 2

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Check the parameters.

        Raises:
            CaffeError: a window given twice, not at all, or with a pad as large as itself.
        """
        param = self.param.pooling_param
        if len(top) > 1 and param.pool != _Param.MAX:
            raise self.fail("a second top (the mask) exists for MAX only")
        sides = param.HasField("kernel_h") and param.HasField("kernel_w")
        either = param.HasField("kernel_h") or param.HasField("kernel_w")
        if param.global_pooling and (param.HasField("kernel_size") or either):
            raise self.fail("global_pooling and a kernel size exclude each other")
        if not param.global_pooling and (param.HasField("kernel_size") == either or either != sides):
            raise self.fail("give kernel_size, or both kernel_h and kernel_w")
        for one, stem in (("pad", "pad"), ("stride", "stride")):
            if param.HasField(one) and (param.HasField(f"{stem}_h") or param.HasField(f"{stem}_w")):
                raise self.fail(f"has both {one} and {stem}_h or {stem}_w", "give one of the two forms")

    @property
    def stochastic(self) -> bool:
        """Does it draw random numbers?"""
        return bool(self.param.pooling_param.pool == _Param.STOCHASTIC)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The rule above.

        Raises:
            CaffeError: not four axes, or a window that does not fit.
        """
        if bottom[0].num_axes != 4:
            raise self.fail(f"a bottom of shape {bottom[0].shape} has other than 4 axes", "N x C x H x W")
        if self._shapes is None or self._shapes[0] != bottom[0].shape:
            self._plan(bottom[0].shape)
            self._shapes = (bottom[0].shape, None)
        for blob in top:
            blob.reshape(*bottom[0].shape[:2], *self._out)

    def _plan(self, shape: tuple[int, ...]) -> None:
        param = self.param.pooling_param
        size = shape[2:]
        if param.global_pooling:
            kernel = size
        else:
            kernel = (param.kernel_size or param.kernel_h, param.kernel_size or param.kernel_w)
        pad = (param.pad_h, param.pad_w) if param.HasField("pad_h") or param.HasField("pad_w") else (param.pad,) * 2
        both = param.HasField("stride_h") or param.HasField("stride_w")
        stride = (param.stride_h, param.stride_w) if both else (param.stride,) * 2
        if min(kernel) < 1 or min(stride) < 1:
            raise self.fail(f"kernel {kernel} and stride {stride} must be positive", f"the bottom's shape is {shape}")
        if param.global_pooling and (pad != (0, 0) or stride != (1, 1)):
            raise self.fail("global_pooling takes pad 0 and stride 1")
        if any(p >= k for p, k in zip(pad, kernel)):
            raise self.fail(f"pad {pad} must be smaller than the kernel {kernel}")
        if any(pad) and param.pool == _Param.STOCHASTIC:
            raise self.fail("STOCHASTIC pooling takes no pad", "MAX and AVE do")
        rounded = math.floor if param.round_mode == _Param.FLOOR else math.ceil
        out = [int(rounded((n + 2 * p - k) / s)) + 1 for n, p, k, s in zip(size, pad, kernel, stride)]
        if any(pad):
            out = [o - ((o - 1) * s >= n + p) for o, n, p, s in zip(out, size, pad, stride)]
        if min(out) < 1:
            raise self.fail(f"a bottom of shape {shape} is smaller than the window {kernel} with pad {pad}")
        self._out, self._kernel, self._stride, self._pad = tuple(out), kernel, stride, pad
        # what the windows reach beyond the far edge; negative: a part of the plane that none reaches
        self._beyond = [(o - 1) * s + k - n - p for o, s, k, n, p in zip(out, stride, kernel, size, pad)]
        self._divisor: torch.Tensor | None = None

    def function(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Pad to what the windows reach, then pool without padding."""
        x, (beyond_h, beyond_w), (pad_h, pad_w) = inputs[0], self._beyond, self._pad
        edges = (pad_w, max(beyond_w, 0), pad_h, max(beyond_h, 0))
        if self.param.pooling_param.pool == _Param.AVE:
            padded = functional.pad(x, edges) if any(edges) else x
            total = functional.avg_pool2d(padded, self._kernel, self._stride, divisor_override=1)
            return total[:, :, : self._out[0], : self._out[1]] / self._sizes(x)
        if self.param.pooling_param.pool == _Param.STOCHASTIC:
            return self._stochastic(functional.pad(x, edges))
        padded = functional.pad(x, edges, value=_LOWEST) if any(edges) else x
        y, where = functional.max_pool2d(padded, self._kernel, self._stride, return_indices=True)
        y, where = y[:, :, : self._out[0], : self._out[1]], where[:, :, : self._out[0], : self._out[1]]
        width = padded.shape[3]
        row, column = where.div(width, rounding_mode="floor") - pad_h, where % width - pad_w
        return y, (row * x.shape[3] + column).to(x.dtype)

    def _stochastic(self, padded: torch.Tensor) -> torch.Tensor:
        windows = padded.unfold(2, self._kernel[0], self._stride[0]).unfold(3, self._kernel[1], self._stride[1])
        values = windows[:, :, : self._out[0], : self._out[1]].flatten(4)
        total = values.sum(-1)
        if self.phase != caffe_pb2.TRAIN:
            return torch.where(total > 0, values.square().sum(-1) / total.where(total > 0, torch.ones_like(total)), 0.0)
        sums = values.detach().cumsum(-1)
        drawn = torch.from_numpy(common.generator().uniform(total.numel(), 0, 1)).to(total.device, total.dtype)
        threshold = drawn.view(total.shape) * sums[..., -1]
        chosen = (sums < threshold[..., None]).sum(-1, keepdim=True).clamp_(max=values.shape[-1] - 1)
        return values.gather(-1, chosen).squeeze(-1)

    def _sizes(self, x: torch.Tensor) -> torch.Tensor:
        """The size of each window, clipped at the far edge of the padded plane only."""
        if self._divisor is None:
            sides = []
            for o, s, k, n, p in zip(self._out, self._stride, self._kernel, x.shape[2:], self._pad):
                start = torch.arange(o) * s - p
                sides.append((start + k).clamp(max=n + p) - start)
            self._divisor = (sides[0][:, None] * sides[1][None, :]).to(x.device, x.dtype)
        return self._divisor
