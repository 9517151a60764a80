"""Adam. Source: ``adam_solver.cpp``; Kingma and Ba 2015, algorithm 1 with the corrections folded into the rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from caffefiles.files import PathLike
from torchcaffe.solvers.sgd import AdaptiveSolver


class AdamSolver(AdaptiveSolver):
    """m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g², w ← w − r·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m / (√v + delta).

    β₁ = momentum, β₂ = momentum2, t counts from 1. The history holds m of every parameter, then v of every parameter.
    """

    def __init__(self, param: Any, source: PathLike = "<solver>", **net_options: Any) -> None:
        super().__init__(param, source, **net_options)
        self.history += [torch.zeros_like(history) for history in self.history]

    def direction(self, i: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        """The step."""
        beta1, beta2 = np.float32(self.param.momentum), np.float32(self.param.momentum2)
        mean, square = self.history[i], self.history[i + len(self.history) // 2]
        mean.mul_(float(beta1)).add_(gradient, alpha=float(1 - beta1))
        square.mul_(float(beta2)).addcmul_(gradient, gradient, value=float(1 - beta2))
        t = self.iter + 1
        powers = [float(np.float32(math.pow(float(beta), t))) for beta in (beta1, beta2)]
        correction = math.sqrt(1 - powers[1]) / (1 - powers[0]) if powers[0] != 1 else math.inf
        return square.sqrt().add_(self.param.delta).reciprocal_().mul_(mean).mul_(rate * correction)
