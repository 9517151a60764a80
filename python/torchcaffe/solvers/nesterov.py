"""Nesterov's accelerated gradient. Source: ``nesterov_solver.cpp``."""

from __future__ import annotations

import torch

from torchcaffe.solvers.sgd import AdaptiveSolver


class NesterovSolver(AdaptiveSolver):
    """h' = μ·h + r·g, w ← w − ((1 + μ)·h' − μ·h)."""

    def direction(self, i: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        """The step, looking one ahead."""
        momentum, history = self.param.momentum, self.history[i]
        before = history * momentum
        history.mul_(momentum).add_(gradient, alpha=rate)
        step: torch.Tensor = before.neg_().add_(history, alpha=1 + momentum)
        return step
