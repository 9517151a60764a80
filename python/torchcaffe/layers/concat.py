"""Concat."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, Layer


class Concat(Layer):
    """The bottoms one after another along ``axis`` (1; ``concat_dim`` is its old name); other dimensions must agree.

    The top of a single bottom is its memory.
    """

    min_num_bottom = 1
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Check the parameters.

        Raises:
            CaffeError: both names of the axis are given; a top is a bottom.
        """
        if len(bottom) > 1:
            self.refuse_in_place(bottom, top)
        if self.param.concat_param.HasField("axis") and self.param.concat_param.HasField("concat_dim"):
            raise self.fail("has both axis and concat_dim", "give axis only")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The sum along the axis.

        Raises:
            CaffeError: the bottoms do not agree elsewhere.
        """
        param = self.param.concat_param
        self._axis = bottom[0].canonical_axis(param.concat_dim if param.HasField("concat_dim") else param.axis)
        first = bottom[0].shape
        for blob in bottom:
            if (*blob.shape[: self._axis], *blob.shape[self._axis + 1 :]) != (
                *first[: self._axis],
                *first[self._axis + 1 :],
            ) or len(blob.shape) != len(first):
                raise self.fail(
                    f"bottoms of shapes {first} and {blob.shape}", f"they may differ along axis {self._axis} only"
                )
        total = sum(blob.shape[self._axis] for blob in bottom)
        top[0].reshape(*first[: self._axis], total, *first[self._axis + 1 :])
        if len(bottom) == 1:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for blob, part in zip(bottom, torch.split(top[0].data, [b.shape[self._axis] for b in bottom], self._axis)):
            part.copy_(blob.data)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        parts = torch.split(top[0].diff, [b.shape[self._axis] for b in bottom], self._axis)
        for blob, part, wanted in zip(bottom, parts, propagate_down):
            if wanted:
                blob.diff.copy_(part)
