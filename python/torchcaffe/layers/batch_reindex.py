"""BatchReindex: picks, repeats and reorders examples."""

from __future__ import annotations

from torchcaffe.layers.base import Blobs, Flags, Layer


class BatchReindex(Layer):
    """y[i] = x[j[i]]: bottoms x, N × ..., and j, M integers in 0..N−1; top M × .... dx[n] = Σ dy[i] over j[i] = n.

    Differs from Caffe in: ``force_backward`` leaves j alone, where Caffe aborts at it.
    """

    exact_num_bottom = 2
    exact_num_top = 1
    no_force_backward = (1,)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """M examples.

        Raises:
            CaffeError: j has other than one axis, or x none.
        """
        if bottom[1].num_axes != 1 or bottom[0].num_axes < 1:
            raise self.fail(
                f"bottoms of shapes {bottom[0].shape} and {bottom[1].shape}", "examples and a vector of their numbers"
            )
        top[0].reshape(bottom[1].shape[0], *bottom[0].shape[1:])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Pick.

        Raises:
            CaffeError: there is no such example (on the CPU; a GPU is not waited for).
        """
        self._index = index = bottom[1].data.long()
        if index.numel() and index.device.type == "cpu":
            low, high = (int(v) for v in index.aminmax())
            if low < 0 or high >= bottom[0].shape[0]:
                raise self.fail(
                    f"index {low if low < 0 else high} is not one of the {bottom[0].shape[0]} examples "
                    f"of a bottom of shape {bottom[0].shape}"
                )
        top[0].data.copy_(bottom[0].data.index_select(0, index))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Add up.

        Raises:
            CaffeError: the numbers' gradient is asked for.
        """
        if propagate_down[1]:
            raise self.fail("cannot backpropagate to its indices (bottom 1)", "feed them from a data layer")
        if propagate_down[0]:
            bottom[0].diff.zero_().index_add_(0, self._index, top[0].diff)
