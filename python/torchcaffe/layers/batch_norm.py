"""BatchNorm: each channel to mean 0 and variance 1. Source: Ioffe and Szegedy (2015), algorithm 1, without γ and β."""

from __future__ import annotations

import torch

from caffefiles.proto import caffe_pb2
from torchcaffe.layers.base import Blobs, Flags, Layer


class BatchNorm(Layer):
    """y = (x − mean) / √(var + ``eps``) for each channel (axis 1; one channel without it). In place or not.

    Batch statistics unless ``use_global_stats`` (which is on in TEST, off in TRAIN, if unset); these learn
    s ← f·s + 1, M ← f·M + mean, V ← f·V + var · m/(m − 1), f = ``moving_average_fraction``, m values a channel.
    Blobs: M (C), V (C), s (1), whose lr_mult is 0; the global statistics are M/s and V/s (0 while s = 0).
    dx = (dy − mean dy − y · mean(dy · y)) / √(var + eps); with global statistics dy / √(var + eps); Caffe writes dx
    also where ``propagate_down`` is false, and so does this.
    """

    exact_num_bottom = 1
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Make the statistics.

        Raises:
            CaffeError: the prototxt gives them an lr_mult other than 0.
        """
        param = self.param.batch_norm_param
        test = self.phase == caffe_pb2.TEST
        self._global: bool = param.use_global_stats if param.HasField("use_global_stats") else test
        self._fraction: float = param.moving_average_fraction
        self._channels = bottom[0].shape[1] if bottom[0].num_axes > 1 else 1
        for i in range(3):
            if i == len(self.param.param):
                self.param.param.add(lr_mult=0)
            elif self.param.param[i].lr_mult != 0:
                raise self.fail(
                    f"param {i} has lr_mult {self.param.param[i].lr_mult:g}: running statistics are not learnt",
                    "set lr_mult: 0, or leave param out",
                )
        constant = caffe_pb2.FillerParameter()
        self.init_blobs(((self._channels,), constant), ((self._channels,), constant), ((1,), constant))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The bottom's shape.

        Raises:
            CaffeError: other channels than at first.
        """
        channels = bottom[0].shape[1] if bottom[0].num_axes > 1 else 1
        if channels != self._channels:
            raise self.fail(f"a bottom of shape {bottom[0].shape}", f"{self._channels} channels (axis 1) were expected")
        top[0].reshape_like(bottom[0])

    def _planes(self, tensor: torch.Tensor) -> torch.Tensor:
        """N × C × spatial."""
        return tensor.view(tensor.shape[0] if tensor.dim() > 1 else tensor.numel(), self._channels, -1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Normalize, keeping y (the top may be overwritten by an in place layer above) and the inverse deviation."""
        x, eps = self._planes(bottom[0].data), self.param.batch_norm_param.eps
        mean, variance, weight = (blob.data for blob in self.blobs)
        if self._global:
            scale = torch.where(weight == 0, weight, 1 / weight)
            self._inverse = (variance * scale + eps).rsqrt_()
            y = (x - (mean * scale)[:, None]).mul_(self._inverse[:, None])
        else:
            batch_mean, batch_variance = torch.batch_norm_update_stats(x, None, None, 0.0)
            self._inverse = (batch_variance + eps).rsqrt_()
            y = (x - batch_mean[:, None]).mul_(self._inverse[:, None])
            m = x.numel() // self._channels
            weight.mul_(self._fraction).add_(1)
            mean.mul_(self._fraction).add_(batch_mean)
            variance.mul_(self._fraction).add_(batch_variance, alpha=m / (m - 1) if m > 1 else 1.0)
        self._y = y
        top[0].data.copy_(y.view(top[0].shape))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """PyTorch's kernel, as if y were its input: mean 0, deviation 1 and, for a weight, the inverse deviation."""
        dy = self._planes(top[0].diff)
        if self._global:
            dx = dy * self._inverse[:, None]
        else:
            zero, one = torch.zeros_like(self._inverse), torch.ones_like(self._inverse)
            dx = torch.ops.aten.native_batch_norm_backward(
                dy, self._y, self._inverse, None, None, zero, one, True, 0.0, [True, False, False]
            )[0]
        bottom[0].diff.copy_(dx.view(bottom[0].shape))
