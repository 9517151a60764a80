"""RMSProp. Source: ``rmsprop_solver.cpp``; Tieleman and Hinton 2012."""

from __future__ import annotations

from typing import Any

import torch

from caffefiles.files import PathLike
from torchcaffe.solvers.sgd import AdaptiveSolver


class RMSPropSolver(AdaptiveSolver):
    """s ← ρ·s + (1 − ρ)·g², w ← w − r·g / (√s + delta), with ρ = rms_decay.

    Raises:
        CaffeError: a momentum is given, or rms_decay is outside 0 <= ρ < 1.
    """

    def __init__(self, param: Any, source: PathLike = "<solver>", **net_options: Any) -> None:
        super().__init__(param, source, **net_options)
        self.refuse_momentum()
        if not 0 <= param.rms_decay < 1:
            raise self.fail(f"rms_decay {param.rms_decay:g} should lie between 0 and 1", "0.99 is the default")

    def direction(self, i: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        """The step."""
        decay = self.param.rms_decay
        history = self.history[i].mul_(decay).addcmul_(gradient, gradient, value=1 - decay)
        return gradient.div(history.sqrt().add_(self.param.delta)).mul_(rate)
