"""Filter: keeps the examples that a selector marks."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, Layer


class Filter(Layer):
    """Top i holds those examples of bottom i whose value in the last bottom, the selector (N or N × 1 × ...), is not 0.

    As many tops as bottoms less one. Tops are N long until the first forward. dx is dy where kept, else 0; the
    selector's is 0.

    Differs from Caffe in: Caffe aborts where none is kept, or the selector's gradient is asked for.
    """

    min_num_bottom = 2
    min_num_top = 1

    _first = True

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Check the number of tops.

        Raises:
            CaffeError: other than one for each bottom but the selector.
        """
        if len(top) != len(bottom) - 1:
            raise self.fail(
                f"{len(top)} tops for {len(bottom)} bottoms", "one top for each bottom but the last, the selector"
            )
        self._first = True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Shape the tops for as many examples as the selector now marks.

        Raises:
            CaffeError: the selector is no single value for each example of every bottom.
        """
        selector = bottom[-1]
        if selector.num_axes < 1 or selector.count != selector.shape[0]:
            raise self.fail(f"a selector of shape {selector.shape}", "one value for each example: N or N x 1 x ...")
        for blob in bottom[:-1]:
            if blob.shape[:1] != selector.shape[:1]:
                raise self.fail(
                    f"a bottom of shape {blob.shape} and a selector of shape {selector.shape}",
                    "they must have equally many examples",
                )
        self._index = torch.nonzero(selector.data.reshape(-1)).reshape(-1)
        count = selector.shape[0] if self._first else self._index.numel()
        self._first = False
        for source, blob in zip(bottom, top):
            blob.reshape(count, *source.shape[1:])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for source, blob in zip(bottom, top):
            blob.reshape(self._index.numel(), *source.shape[1:])
            blob.data.copy_(source.data.index_select(0, self._index))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        for source, blob, wanted in zip(bottom, top, propagate_down):
            if wanted:
                source.diff.zero_().index_copy_(0, self._index, blob.diff)
        if propagate_down[len(bottom) - 1]:
            bottom[-1].diff.zero_()
