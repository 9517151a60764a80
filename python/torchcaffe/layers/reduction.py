"""Reduction."""

from __future__ import annotations

import torch

from caffefiles.proto import caffe_pb2
from torchcaffe.layers.base import Blobs
from torchcaffe.layers.function import FunctionLayer

_Param = caffe_pb2.ReductionParameter


class Reduction(FunctionLayer):
    """y = ``coeff`` · Σ x, Σ |x| (ASUM), Σ x² (SUMSQ) or mean x over the axes from ``axis`` (0) on, which vanish."""

    exact_num_bottom = 1
    exact_num_top = 1

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._axis = bottom[0].canonical_axis(self.param.reduction_param.axis)
        super().reshape(bottom, top)

    def function(self, *inputs: torch.Tensor) -> torch.Tensor:
        x, param = inputs[0].flatten(self._axis), self.param.reduction_param
        if param.operation == _Param.ASUM:
            x = x.abs()
        elif param.operation == _Param.SUMSQ:
            x = x.square()
        y = x.mean(-1) if param.operation == _Param.MEAN else x.sum(-1)
        return y.mul(param.coeff)
