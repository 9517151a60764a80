"""RNN. Source: Donahue et al. (2015), section 2."""

from __future__ import annotations

from typing import ClassVar

import torch

from torchcaffe.layers.recurrent import RecurrentLayer


class RNN(RecurrentLayer):
    """Each step: h ← tanh(W_hh (cont · h) + W_xh x + b_h (+ W_xh_static x_static)), output tanh(W_ho h + b_o).

    Blobs: W_xh, D × I; b_h, D; W_xh_static, D × S, if there is a static bottom; W_hh, D × D; W_ho, D × D; b_o, D. The
    rest as :class:`~torchcaffe.layers.recurrent.RecurrentLayer` says.
    """

    hidden: ClassVar[int] = 1

    def parameters(self, features: int, static: int | None) -> list[tuple[tuple[int, ...], object]]:
        """W_xh, b_h, W_xh_static, W_hh, W_ho, b_o."""
        param, size = self.param.recurrent_param, self._size
        square = ((size, size), param.weight_filler)
        shapes: list[tuple[tuple[int, ...], object]] = [
            ((size, features), param.weight_filler),
            ((size,), param.bias_filler),
        ]
        if static is not None:
            shapes.append(((size, static), param.weight_filler))
        return [*shapes, square, square, ((size,), param.bias_filler)]

    def run_steps(
        self, x: torch.Tensor, cont: torch.Tensor, state: list[torch.Tensor], weights: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Step by step, the outputs all at once."""
        (h,), hidden = state, []
        for part, keep in zip(x, cont):
            h = torch.tanh(part + torch.nn.functional.linear(keep * h, weights[0]))
            hidden.append(h)
        return torch.nn.functional.linear(torch.stack(hidden), weights[1], weights[2]).tanh(), [h]
