"""Reshape."""

from __future__ import annotations

import math

from torchcaffe.layers.base import Blobs
from torchcaffe.layers.sharing import SharingLayer


class Reshape(SharingLayer):
    """``num_axes`` (−1: all) axes from ``axis`` (0) on become ``shape``: 0 copies the bottom's dimension of that place,
    −1, once at most, takes what is left. A negative ``axis`` −1 stands for behind the last. Shares the bottom's memory.
    """

    def shape(self, bottom: Blobs) -> tuple[int, ...]:
        """The axes before, the new ones, those after.

        Raises:
            CaffeError: several −1, an axis out of range, a 0 without an axis to copy, or other than as many values.
        """
        param, old = self.param.reshape_param, bottom[0].shape
        start = param.axis if param.axis >= 0 else len(old) + param.axis + 1
        if not 0 <= start <= len(old):
            raise self.fail(f"axis {param.axis} is out of range for a bottom of shape {old}")
        if param.num_axes < -1 or start + param.num_axes > len(old):
            raise self.fail(
                f"num_axes {param.num_axes} from axis {start} on does not fit a bottom of shape {old}", "-1 takes all"
            )
        end = len(old) if param.num_axes == -1 else start + param.num_axes
        wanted = list(param.shape.dim)
        if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
            raise self.fail(f"the shape {wanted} is wrong", "at most one -1, and nothing below")
        for i, n in enumerate(wanted):
            if n == 0:
                if start + i >= len(old):
                    raise self.fail(f"the shape {wanted} copies axis {start + i} of a bottom of shape {old}")
                wanted[i] = old[start + i]
        fixed = math.prod(n for n in (*old[:start], *wanted, *old[end:]) if n != -1)
        if -1 in wanted:
            if not fixed or bottom[0].count % fixed:
                raise self.fail(f"the {bottom[0].count} values of a bottom of shape {old} do not divide by {fixed}")
            wanted[wanted.index(-1)] = bottom[0].count // fixed
        result = (*old[:start], *wanted, *old[end:])
        if math.prod(result) != bottom[0].count:
            raise self.fail(f"a bottom of shape {old} does not have as many values as {result}")
        return result
