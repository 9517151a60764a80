"""Sharing: what the layers that only change the shape have in common."""

from __future__ import annotations

from torchcaffe.layers.base import Blobs, Flags, Layer


class SharingLayer(Layer):
    """The top is the bottom in another shape, data and diff: one memory."""

    exact_num_bottom = 1
    exact_num_top = 1

    def shape(self, bottom: Blobs) -> tuple[int, ...]:
        """The top's shape, of as many values as the bottom's."""
        raise NotImplementedError(f"{type(self).__name__}.shape")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Take the memory.

        Raises:
            CaffeError: the top is the bottom, or the shape does not follow.
        """
        self.refuse_in_place(bottom, top)
        top[0].reshape(*self.shape(bottom))
        top[0].share_data(bottom[0])
        top[0].share_diff(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Nothing to copy."""

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Nothing to copy."""
