"""ArgMax: where the largest values are."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, ZeroGradientLayer


class ArgMax(ZeroGradientLayer):
    """The positions of the ``top_k`` (1) largest values, largest first; of equals the last position is first.

    Without ``axis``: of each example's values in a row; top N × 1 × k (× 1 ...), or N × 2 × k, positions then values,
    if ``out_max_val``. With it: along that axis, which becomes k long; the values instead if out_max_val.

    Differs from Caffe in: backward gives zeros, where Caffe aborts.
    """

    exact_num_bottom = 1
    exact_num_top = 1

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The shape above.

        Raises:
            CaffeError: top_k is 0 or exceeds the values.
        """
        param, shape = self.param.argmax_param, bottom[0].shape
        if not shape:
            raise self.fail("a bottom without axes", "N x ...")
        k = param.top_k
        self._axis = bottom[0].canonical_axis(param.axis) if param.HasField("axis") else None
        size = bottom[0].count_between(1) if self._axis is None else shape[self._axis]
        if not 1 <= k <= size:
            raise self.fail(f"top_k {k} for {size} values of a bottom of shape {shape}", f"1 to {size}")
        if self._axis is None:
            top[0].reshape(shape[0], 2 if param.out_max_val else 1, k, *[1] * (len(shape) - 3))
        else:
            top[0].reshape(*shape[: self._axis], k, *shape[self._axis + 1 :])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Sort from the back, stably, so that equals come out last first."""
        param, x = self.param.argmax_param, bottom[0].data
        if self._axis is None:
            x = x.reshape(x.shape[0], -1)
        axis = 1 if self._axis is None else self._axis
        values, where = torch.sort(x.flip(axis), dim=axis, descending=True, stable=True)
        values = values.narrow(axis, 0, param.top_k)
        where = (x.shape[axis] - 1 - where.narrow(axis, 0, param.top_k)).to(x.dtype)
        if self._axis is None and param.out_max_val:
            result = torch.stack((where, values), 1)
        else:
            result = values if param.out_max_val else where
        top[0].data.copy_(result.reshape(top[0].shape))
