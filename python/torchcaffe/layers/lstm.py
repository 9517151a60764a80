"""LSTM. Source: Donahue et al. (2015), section 2."""

from __future__ import annotations

from typing import ClassVar

import torch

from torchcaffe.layers.recurrent import RecurrentLayer


class LSTM(RecurrentLayer):
    """Each step: gates (i, f, o, g) = W_xc x + b_c (+ W_xc_static x_static) + W_hc (cont · h), then an LSTMUnit.

    Hidden states h and c; the first top is h of every step. Blobs: W_xc, 4D × I; b_c, 4D; W_xc_static, 4D × S, if there
    is a static bottom; W_hc, 4D × D. The rest as :class:`~torchcaffe.layers.recurrent.RecurrentLayer` says.
    """

    hidden: ClassVar[int] = 2

    def parameters(self, features: int, static: int | None) -> list[tuple[tuple[int, ...], object]]:
        """W_xc, b_c, W_xc_static, W_hc."""
        param, size = self.param.recurrent_param, self._size
        shapes: list[tuple[tuple[int, ...], object]] = [
            ((4 * size, features), param.weight_filler),
            ((4 * size,), param.bias_filler),
        ]
        if static is not None:
            shapes.append(((4 * size, static), param.weight_filler))
        return [*shapes, ((4 * size, size), param.weight_filler)]

    def run_steps(
        self, x: torch.Tensor, cont: torch.Tensor, state: list[torch.Tensor], weights: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Step by step."""
        h, c = state
        outputs = []
        for gates, keep in zip(x, cont):
            i, f, o, g = (gates + torch.nn.functional.linear(keep * h, weights[0])).chunk(4, 1)
            passed = torch.where(keep == 0, torch.zeros_like(c), keep * f.sigmoid() * c)
            c = passed + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs), [h, c]
