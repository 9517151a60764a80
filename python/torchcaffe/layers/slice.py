"""Slice: a blob cut into several along an axis."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, Layer


class Slice(Layer):
    """Tops are consecutive parts of the bottom along ``axis`` (1; ``slice_dim`` is its old name).

    Cut before each ``slice_point``, one fewer than tops, rising; without any, into equal parts. A single top is the
    bottom's memory.
    """

    exact_num_bottom = 1
    min_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Check the parameters.

        Raises:
            CaffeError: both names of the axis are given; a top is a bottom.
        """
        if len(top) > 1:
            self.refuse_in_place(bottom, top)
        if self.param.slice_param.HasField("axis") and self.param.slice_param.HasField("slice_dim"):
            raise self.fail("has both axis and slice_dim", "give axis only")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The parts' shapes.

        Raises:
            CaffeError: the points do not rise within the axis, are too few or many, or the tops do not divide it.
        """
        param = self.param.slice_param
        self._axis = bottom[0].canonical_axis(param.slice_dim if param.HasField("slice_dim") else param.axis)
        shape = bottom[0].shape
        size, points = shape[self._axis], list(param.slice_point)
        if points:
            if len(points) != len(top) - 1:
                raise self.fail(f"{len(points)} slice_point for {len(top)} tops", "give one fewer than tops")
            edges = [0, *points, size]
            self._sizes = [b - a for a, b in zip(edges, edges[1:])]
            if min(self._sizes) <= 0:
                raise self.fail(
                    f"slice_point {points} of a bottom of shape {shape} along axis {self._axis}",
                    f"they must rise strictly between 0 and {size}",
                )
        else:
            if size % len(top):
                raise self.fail(
                    f"{len(top)} tops do not divide the {size} of axis {self._axis} of a bottom of shape {shape}",
                    "give slice_point",
                )
            self._sizes = [size // len(top)] * len(top)
        for blob, part in zip(top, self._sizes):
            blob.reshape(*shape[: self._axis], part, *shape[self._axis + 1 :])
        if len(top) == 1:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for blob, part in zip(top, torch.split(bottom[0].data, self._sizes, self._axis)):
            blob.data.copy_(part)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        if propagate_down[0]:
            for blob, part in zip(top, torch.split(bottom[0].diff, self._sizes, self._axis)):
                part.copy_(blob.diff)
