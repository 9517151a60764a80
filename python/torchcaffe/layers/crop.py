"""Crop: cuts a blob to the size of another."""

from __future__ import annotations

from torchcaffe.layers.base import Blobs, Flags, Layer


class Crop(Layer):
    """Bottom 0 cut to bottom 1's size along the axes from ``axis`` (2) on, starting at ``offset``, one for all or each.

    dx is dy within the cut, else 0; bottom 1 gets none.
    """

    exact_num_bottom = 2
    exact_num_top = 1

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Bottom 1's dimensions from the axis on.

        Raises:
            CaffeError: the numbers of axes or offsets do not fit, or the cut reaches beyond bottom 0.
        """
        x, size = bottom[0].shape, bottom[1].shape
        if len(x) != len(size):
            raise self.fail(f"bottoms of shapes {x} and {size}", "both must have equally many axes")
        axis = bottom[0].canonical_axis(self.param.crop_param.axis)
        offsets = list(self.param.crop_param.offset)
        if len(offsets) > 1 and len(offsets) != len(x) - axis:
            raise self.fail(
                f"{len(offsets)} offset for the {len(x) - axis} axes from {axis} on", "give one, or one for each"
            )
        starts = offsets if len(offsets) > 1 else (offsets or [0]) * (len(x) - axis)
        self._cut = [slice(None)] * axis
        for i, start in enumerate(starts, axis):
            if start + size[i] > x[i]:
                raise self.fail(
                    f"offset {start} and size {size[i]} exceed the {x[i]} of axis {i}: bottoms of shapes {x} and {size}"
                )
            self._cut.append(slice(start, start + size[i]))
        top[0].reshape(*x[:axis], *size[axis:])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].data.copy_(bottom[0].data[tuple(self._cut)])

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        if propagate_down[0]:
            bottom[0].diff.zero_()[tuple(self._cut)].copy_(top[0].diff)
