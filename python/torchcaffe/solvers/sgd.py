"""SGD with momentum. Source: ``sgd_solver.cpp``."""

from __future__ import annotations

from typing import Any

import torch
from torchcaffe.prototxt import PathLike
from torchcaffe.solvers.base import Solver
from torchcaffe.solvers.lr_policy import learning_rate


class SGDSolver(Solver):
    """h ← μ·h + lr·lr_mult·g, w ← w − h, where g = gradient / iter_size + weight_decay·decay_mult·(w or sign w).

    The rate is folded into the history, unlike in torch.optim.SGD. Gradients are clipped first, to the L2 norm
    ``clip_gradients`` over all parameters together.

    Differs from Caffe in: a parameter's diff after the update is the regularised gradient, not the step h.
    """

    def __init__(self, param: Any, source: PathLike = "<solver>", **net_options: Any) -> None:
        super().__init__(param, source, **net_options)
        if param.regularization_type not in ("L1", "L2"):
            raise self.fail(f"unknown regularization_type {param.regularization_type!r}", "known: L1, L2")
        self.history = [torch.zeros_like(blob.data) for blob in self.net.params.learnable]
        """One for each learnable parameter."""

    def learning_rate(self) -> float:
        """The rate of the present iteration."""
        rate, self.current_step = learning_rate(self.param, self.iter, self.current_step)
        return rate

    @torch.no_grad()
    def apply_update(self) -> None:
        """Clip, then each parameter in turn."""
        rate = self.learning_rate()
        self.clip()
        params = self.net.params
        for i, (blob, lr_mult, decay_mult) in enumerate(zip(params.learnable, params.lr_mults, params.decay_mults)):
            gradient = blob.diff
            if self.param.iter_size > 1:
                gradient.mul_(1 / self.param.iter_size)
            self.regularize(blob.data, gradient, self.param.weight_decay * decay_mult)
            self.update(i, blob.data, gradient, rate * lr_mult)

    def clip(self) -> None:
        """Scale all gradients so that their joint L2 norm is at most ``clip_gradients`` (off if negative)."""
        limit = self.param.clip_gradients
        if limit < 0:
            return
        diffs = [blob.diff for blob in self.net.params.learnable]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(diff) for diff in diffs]))
        if float(norm) > limit:
            for diff in diffs:
                diff.mul_(limit / norm)

    def regularize(self, weights: torch.Tensor, gradient: torch.Tensor, decay: float) -> None:
        """Add the penalty's gradient, in place."""
        if decay:
            gradient.add_(weights if self.param.regularization_type == "L2" else weights.sign(), alpha=decay)

    def update(self, i: int, weights: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        """Move parameter ``i``, in place."""
        history = self.history[i]
        history.mul_(self.param.momentum).add_(gradient, alpha=rate)
        weights.sub_(history)
