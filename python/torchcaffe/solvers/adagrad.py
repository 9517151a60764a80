"""AdaGrad. Source: ``adagrad_solver.cpp``; Duchi et al. 2011."""

from __future__ import annotations

from typing import Any

import torch

from caffefiles.files import PathLike
from torchcaffe.solvers.sgd import AdaptiveSolver


class AdaGradSolver(AdaptiveSolver):
    """s ← s + g², w ← w − r·g / (√s + delta).

    Raises:
        CaffeError: a momentum is given.
    """

    def __init__(self, param: Any, source: PathLike = "<solver>", **net_options: Any) -> None:
        super().__init__(param, source, **net_options)
        self.refuse_momentum()

    def direction(self, i: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        """The step."""
        history = self.history[i].addcmul_(gradient, gradient)
        return gradient.div(history.sqrt().add_(self.param.delta)).mul_(rate)
