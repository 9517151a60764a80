"""Embed: a row of a matrix for each integer."""

from __future__ import annotations

from torchcaffe.layers.base import Blobs, Flags, Layer


class Embed(Layer):
    """y[i] = W[x[i]] (+ b): what InnerProduct gives for one-hot vectors. Bottom of integers in 0..K−1.

    K = ``input_dim``. Top: the bottom's shape, then N = ``num_output``. Blobs: W, K × N; b, N, if ``bias_term``.
    dW[k] += Σ dy[i] over x[i] = k, db += Σ dy.

    Differs from Caffe in: 1. On the CPU an integer outside 0..K−1 is an error, where Caffe reads outside its memory.
    2. ``force_backward`` leaves the bottom alone, where Caffe aborts at it.
    """

    exact_num_bottom = 1
    exact_num_top = 1
    no_force_backward = (0,)

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Make W and b.

        Raises:
            CaffeError: a size is missing.
        """
        param = self.param.embed_param
        if not (param.num_output and param.input_dim):
            raise self.fail("embed_param.num_output and input_dim must be positive")
        weight = ((param.input_dim, param.num_output), param.weight_filler)
        bias = ((param.num_output,), param.bias_filler)
        self.init_blobs(*((weight, bias) if param.bias_term else (weight,)))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape, self.param.embed_param.num_output)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Pick rows.

        Raises:
            CaffeError: no such row (on the CPU; a GPU is not waited for).
        """
        rows = self.param.embed_param.input_dim
        self._index = index = bottom[0].data.reshape(-1).long()
        if index.numel() and index.device.type == "cpu":
            low, high = (int(v) for v in index.aminmax())
            if low < 0 or high >= rows:
                raise self.fail(
                    f"the bottom holds {low if low < 0 else high}, there are {rows} rows (input_dim)",
                    f"integers from 0 to {rows - 1} are expected",
                )
        y = self.blobs[0].data.index_select(0, index)
        if len(self.blobs) > 1:
            y.add_(self.blobs[1].data)
        top[0].data.copy_(y.view(top[0].shape))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Add up rows.

        Raises:
            CaffeError: the integers' gradient is asked for.
        """
        if propagate_down[0]:
            raise self.fail("cannot backpropagate to its bottom, which is integers", "feed it from a data layer")
        dy = top[0].diff.view(self._index.numel(), self.param.embed_param.num_output)
        if self.param_propagate_down[0]:
            self.blobs[0].diff.index_add_(0, self._index, dy)
        if len(self.blobs) > 1 and self.param_propagate_down[1]:
            self.blobs[1].accumulate(dy.sum(0))
