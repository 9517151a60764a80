"""Flatten."""

from __future__ import annotations

from torchcaffe.layers.base import Blobs
from torchcaffe.layers.sharing import SharingLayer


class Flatten(SharingLayer):
    """The axes ``axis`` (1) to ``end_axis`` (the last), both included, as one. Shares the bottom's memory.

    Where end_axis is the one before axis, an axis of 1 comes between them.
    """

    def shape(self, bottom: Blobs) -> tuple[int, ...]:
        """The axes before, one, those after.

        Raises:
            CaffeError: there are no such axes, or they are the wrong way round.
        """
        param, blob = self.param.flatten_param, bottom[0]
        start, end = blob.canonical_axis(param.axis), blob.canonical_axis(param.end_axis)
        if end < start - 1:
            raise self.fail(
                f"end_axis {param.end_axis} lies before axis {param.axis} of a bottom of shape {blob.shape}"
            )
        return (*blob.shape[:start], blob.count_between(start, end + 1), *blob.shape[end + 1 :])
