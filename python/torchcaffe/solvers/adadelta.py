"""AdaDelta. Source: ``adadelta_solver.cpp``; Zeiler 2012."""

from __future__ import annotations

from typing import Any

import torch

from caffefiles.files import PathLike
from torchcaffe.solvers.sgd import AdaptiveSolver


class AdaDeltaSolver(AdaptiveSolver):
    """s ← μ·s + (1 − μ)·g², d = g·√((u + delta) / (s + delta)), u ← μ·u + (1 − μ)·d², w ← w − r·d.

    The history holds s of every parameter, then u of every parameter.
    """

    def __init__(self, param: Any, source: PathLike = "<solver>", **net_options: Any) -> None:
        super().__init__(param, source, **net_options)
        self.history += [torch.zeros_like(history) for history in self.history]

    def direction(self, i: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        """The step."""
        momentum, delta = self.param.momentum, self.param.delta
        squares, steps = self.history[i], self.history[i + len(self.history) // 2]
        squares.mul_(momentum).addcmul_(gradient, gradient, value=1 - momentum)
        step: torch.Tensor = (steps + delta).div_(squares + delta).sqrt_().mul_(gradient)
        steps.mul_(momentum).addcmul_(step, step, value=1 - momentum)
        return step.mul_(rate)
