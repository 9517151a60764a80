"""SGD with momentum, and what all solvers share: rate, clipping, weight decay. Source: ``sgd_solver.cpp``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from caffefiles.files import PathLike
from torchcaffe import log
from torchcaffe.solvers import fused
from torchcaffe.solvers.base import Solver
from torchcaffe.solvers.lr_policy import learning_rate


class SGDSolver(Solver):
    """h ← μ·h + r·g, w ← w − h, where r = lr·lr_mult, g = gradient / iter_size + λ·decay_mult·(w, or sign w for L1).

    The rate is folded into the history, unlike in torch.optim.SGD. Gradients are clipped first, to the L2 norm
    ``clip_gradients`` over all parameters together. A parameter's diff is afterwards what was subtracted from it.
    """

    def __init__(self, param: Any, source: PathLike = "<solver>", **net_options: Any) -> None:
        super().__init__(param, source, **net_options)
        if param.regularization_type not in ("L1", "L2"):
            raise self.fail(f"unknown regularization_type {param.regularization_type!r}", "known: L1, L2")
        self.history = [torch.zeros_like(blob.data) for blob in self.net.params.learnable]

    def learning_rate(self) -> float:
        """The rate of the present iteration.

        Raises:
            CaffeError: the policy is unknown or lacks what it needs.
        """
        before = self.current_step
        rate, self.current_step = learning_rate(self.param, self.iter, before)
        if self.param.lr_policy == "multistep" and self.current_step != before:
            step = self.current_step
            log.info("sgd_solver.cpp:50", "MultiStep Status: Iteration %d, step = %d", self.iter, step)
        return rate

    @torch.no_grad()
    def apply_update(self) -> None:
        """Clip, then each parameter in turn."""
        self.lr = rate = self.learning_rate()
        if self._due(self.param.display):
            log.info("sgd_solver.cpp:112", "Iteration %d, lr = %g", self.iter, rate)
        self._follow_device()
        self.clip()
        params = self.net.params
        groups: dict[Any, tuple[tuple[float, float], list[int]]] = {}
        for i, (blob, lr_mult, decay_mult) in enumerate(zip(params.learnable, params.lr_mults, params.decay_mults)):
            if self.param.iter_size > 1:
                blob.diff.mul_(1 / self.param.iter_size)
            step = rate * lr_mult, self.param.weight_decay * decay_mult
            together = (blob.device, step) if blob.device.type in fused.TOGETHER else i
            groups.setdefault(together, (step, []))[1].append(i)
        for step, members in groups.values():
            self.update_all(members, *step)
        self.iter += 1

    def _follow_device(self) -> None:
        for i, (history, blob) in enumerate(zip(self.history, self.net.params.learnable * 2)):
            if history.device != blob.device:
                self.history[i] = history.to(blob.device)

    def clip(self) -> None:
        """Scale all gradients so that their joint L2 norm is at most ``clip_gradients`` (off if negative)."""
        limit = self.param.clip_gradients
        if limit < 0:
            return
        diffs = [blob.diff for blob in self.net.params.learnable]
        norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(diff) for diff in diffs])))
        if norm > limit:
            log.info(
                "sgd_solver.cpp:99",
                "Gradient clipping: scaling down gradients (L2 norm %g > %g) by scale factor %g",
                *(norm, limit, limit / norm),
            )
            for diff in diffs:
                diff.mul_(limit / norm)

    def update_all(self, members: Sequence[int], rate: float, decay: float) -> None:
        """Regularise and move some parameters.

        Args:
            members: which of the net's learnable ones; on one device.
            rate: their learning rate.
            decay: their weight decay.
        """
        blobs = [self.net.params.learnable[i] for i in members]
        if self.param.regularization_type == "L1":
            for blob in blobs:
                self.regularize(blob.data, blob.diff, decay)
            decay = 0
        triples = [(blob.data, blob.diff, self.history[i]) for i, blob in zip(members, blobs)]
        fused.momentum_steps(triples, self.param.momentum, rate, decay)
        for i, blob in zip(members, blobs):
            blob.defer_diff(self.history[i])

    def regularize(self, weights: torch.Tensor, gradient: torch.Tensor, decay: float) -> None:
        """Add the penalty's gradient, in place."""
        if decay:
            gradient.add_(weights if self.param.regularization_type == "L2" else weights.sign(), alpha=decay)


class AdaptiveSolver(SGDSolver):
    """A solver whose step is computed from the regularised gradient by :meth:`direction`, and then subtracted."""

    def update_all(self, members: Sequence[int], rate: float, decay: float) -> None:
        """Regularise and move each of some parameters; its diff becomes the step."""
        for i in members:
            self._update(i, rate, decay)

    def _update(self, i: int, rate: float, decay: float) -> None:
        blob = self.net.params.learnable[i]
        weights, diff = blob.data, blob.diff
        self.regularize(weights, diff, decay)
        diff.copy_(self.direction(i, diff, rate))
        weights.sub_(diff)

    def direction(self, i: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        """What to subtract from parameter ``i``; updates its history. ``gradient`` may be overwritten."""
        raise NotImplementedError(f"{type(self).__name__}.direction")

    def refuse_momentum(self) -> None:
        """Raise CaffeError if a momentum is given."""
        if self.param.momentum:
            raise self.fail(
                f"Momentum cannot be used with {self.param.type} (momentum: {self.param.momentum:g})", "remove it"
            )
