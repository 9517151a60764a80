"""LSTMUnit: one step of an LSTM. Source: Donahue et al. (2015), section 2."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs, Flags, Layer


class LSTMUnit(Layer):
    """c = cont · σ(f) · c₀ + σ(i) · tanh g, h = σ(o) · tanh c, for bottoms c₀, gates (i, f, o, g), cont and tops c, h.

    Bottoms: 1 × N × D, 1 × N × 4D, 1 × N. Tops 1 × N × D. Where cont is 0 nothing of c₀ passes, be it NaN. cont gets no
    gradient.
    """

    exact_num_bottom = 3
    exact_num_top = 2
    no_force_backward = (2,)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """c₀'s shape, twice.

        Raises:
            CaffeError: the bottoms do not go together.
        """
        cell, gates, cont = (blob.shape for blob in bottom)
        if (
            len(cell) != 3
            or cell[0] != 1
            or gates != (1, cell[1], 4 * cell[2])
            or (cont != (1, cell[1]) and cont != (1, cell[1], 1))
        ):
            raise self.fail(f"bottoms of shapes {cell}, {gates} and {cont}", "1 x N x D, 1 x N x 4D and 1 x N")
        for blob in top:
            blob.reshape(*cell)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the gates."""
        before, gates, cont = (blob.data for blob in bottom)
        cont = cont.view(1, -1, 1)
        i, f, o, g = gates.chunk(4, 2)
        i, o, g = i.sigmoid(), o.sigmoid(), g.tanh()
        f = torch.where(cont == 0, torch.zeros_like(f), cont * f.sigmoid())
        cell = torch.where(cont == 0, torch.zeros_like(f), f * before) + i * g
        squashed = cell.tanh()
        self._gates = (i, f, o, g, squashed)
        top[0].data.copy_(cell)
        top[1].data.copy_(o * squashed)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Compute the gradients by the formulas above.

        Raises:
            CaffeError: cont's gradient is asked for.
        """
        if propagate_down[2]:
            raise self.fail("cannot backpropagate to its sequence indicators (bottom 2)", "feed them from a data layer")
        i, f, o, g, squashed = self._gates
        dcell, dh = top[0].diff, top[1].diff
        dcell = dcell + dh * o * (1 - squashed * squashed)
        if propagate_down[0]:
            bottom[0].diff.copy_(dcell * f)
        if propagate_down[1]:
            di = dcell * g * i * (1 - i)
            df = torch.where(f == 0, f, dcell * bottom[0].data * f * (1 - f))
            do = dh * squashed * o * (1 - o)
            dg = dcell * i * (1 - g * g)
            bottom[1].diff.copy_(torch.cat((di, df, do, dg), 2))
