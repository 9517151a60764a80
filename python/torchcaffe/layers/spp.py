"""SPP: spatial pyramid pooling. Source: He et al. (2014)."""

from __future__ import annotations

import math

import torch

from caffefiles.proto import caffe_pb2
from torchcaffe.layers.base import Blobs
from torchcaffe.layers.function import FunctionLayer
from torchcaffe.layers.pooling import Pooling


class SPP(FunctionLayer):
    """Level l = 0 .. ``pyramid_height`` − 1 pools N × C × H × W into 2^l × 2^l bins; the levels, flattened, in a row.

    Top N × (C · Σ 4^l); N × C × 1 × 1 for one level. A level's window and stride are ceil(size / bins), its pad
    ceil((window · bins − size) / 2). ``pool``: MAX, AVE, or STOCHASTIC where no level needs a pad (see Pooling).
    ``engine`` has no effect.
    """

    exact_num_bottom = 1
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Check the parameters.

        Raises:
            CaffeError: no levels.
        """
        if not self.param.spp_param.pyramid_height:
            raise self.fail("spp_param.pyramid_height must be positive")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The shape above.

        Raises:
            CaffeError: not four axes, or more bins than the plane can be cut into.
        """
        if bottom[0].num_axes != 4:
            raise self.fail(f"a bottom of shape {bottom[0].shape} has other than 4 axes", "N x C x H x W")
        if self._shapes is None or self._shapes[0] != [bottom[0].shape]:
            self._levels = [self._level(bottom, 2**i) for i in range(self.param.spp_param.pyramid_height)]
            self._shapes = [bottom[0].shape]
        height, (count, channels) = len(self._levels), bottom[0].shape[:2]
        top[0].reshape(*((count, channels, 1, 1) if height == 1 else (count, channels * (4**height - 1) // 3)))

    def _level(self, bottom: Blobs, bins: int) -> Pooling:
        """A level's Pooling layer."""
        param = caffe_pb2.LayerParameter(name=self.name, type=self.type)
        kernel = [math.ceil(n / bins) for n in bottom[0].shape[2:]]
        pad = [(k * bins - n + 1) // 2 for k, n in zip(kernel, bottom[0].shape[2:])]
        pooling = param.pooling_param
        pooling.pool = self.param.spp_param.pool
        pooling.kernel_h, pooling.kernel_w = pooling.stride_h, pooling.stride_w = kernel
        pooling.pad_h, pooling.pad_w = pad
        layer = Pooling(param, self.phase, self.device, self.dtype)
        layer.setup(bottom, [self.new_blob((0,))])
        return layer

    def function(self, *inputs: torch.Tensor) -> torch.Tensor:
        tops = [level.function(inputs[0]) for level in self._levels]
        planes = [top[0] if isinstance(top, tuple) else top for top in tops]
        return planes[0] if len(planes) == 1 else torch.cat([plane.flatten(1) for plane in planes], 1)
