"""Eltwise: sum, product or maximum of blobs of one shape."""

from __future__ import annotations

import torch

from caffefiles.proto import caffe_pb2
from torchcaffe.layers.base import Blobs, Flags, Layer

_Param = caffe_pb2.EltwiseParameter


class Eltwise(Layer):
    """SUM: y = Σ coeff_i x_i (coeff 1 if unset). PROD: y = Π x_i. MAX: y = max x_i.

    dx_i: SUM coeff_i · dy; PROD dy times the product of the others, or dy · y / x_i (NaN at x_i = 0) without
    ``stable_prod_grad``; MAX dy where x_i is the maximum: of equals, the second of the first two, else the first.

    Differs from Caffe in: in place is refused, where Caffe overwrites what it still has to read.
    """

    min_num_bottom = 2
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the coefficients.

        Raises:
            CaffeError: other than one for each bottom, or not for a SUM; or the top is a bottom.
        """
        self.refuse_in_place(bottom, top)
        param = self.param.eltwise_param
        if param.coeff and len(param.coeff) != len(bottom):
            raise self.fail(f"{len(param.coeff)} coeff for {len(bottom)} bottoms", "give one for each, or none")
        if param.coeff and param.operation == _Param.PROD:
            raise self.fail("takes coeff for SUM only, the operation is PROD")
        self._coeff = list(param.coeff) or [1.0] * len(bottom)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The bottoms' shape.

        Raises:
            CaffeError: they differ.
        """
        for blob in bottom:
            if blob.shape != bottom[0].shape:
                raise self.fail(
                    f"bottoms of shapes {bottom[0].shape} and {blob.shape}", "all bottoms must have one shape"
                )
        top[0].reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Combine; MAX keeps which bottom it took."""
        operation, x = self.param.eltwise_param.operation, [blob.data for blob in bottom]
        if operation == _Param.SUM:
            total = torch.add(x[0] * self._coeff[0] if self._coeff[0] != 1 else x[0], x[1], alpha=self._coeff[1])
            for tensor, coeff in zip(x[2:], self._coeff[2:]):
                total.add_(tensor, alpha=coeff)
        elif operation == _Param.PROD:
            total = x[0] * x[1]
            for tensor in x[2:]:
                total.mul_(tensor)
        else:
            self._winner = (x[0] <= x[1]).to(torch.uint8 if len(x) < 256 else torch.int32)
            total = torch.maximum(x[0], x[1])
            for i, tensor in enumerate(x[2:], 2):
                self._winner.masked_fill_(tensor > total, i)
                total = torch.maximum(total, tensor)
        top[0].data.copy_(total)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Each bottom's share, in order."""
        for i, blob in enumerate(bottom):
            if propagate_down[i]:
                blob.diff.copy_(self._gradient(i, top, bottom))

    def _gradient(self, i: int, top: Blobs, bottom: Blobs) -> torch.Tensor:
        param, dy = self.param.eltwise_param, top[0].diff
        if param.operation == _Param.SUM:
            return dy * self._coeff[i] if self._coeff[i] != 1 else dy
        if param.operation == _Param.MAX:
            return dy * (self._winner == i)
        if not param.stable_prod_grad:
            return top[0].data / bottom[i].data * dy
        product = dy
        for j, blob in enumerate(bottom):
            if j != i:
                product = product * blob.data
        return product
