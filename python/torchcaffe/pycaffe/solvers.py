"""Solvers as Caffe's Python module has them. Source: ``_caffe.cpp``."""

from __future__ import annotations

import os
from typing import Any, Callable, ClassVar

from caffefiles.errors import CaffeError, nearest
from caffefiles.files import PathLike
from caffefiles.prototxt import read_solver
from torchcaffe import common
from torchcaffe.pycaffe.errors import CaffeRuntimeError, require_file
from torchcaffe.pycaffe.net import Net
from torchcaffe.solvers.lr_policy import learning_rate
from torchcaffe.solvers.registry import SOLVERS


class Solver:
    """A solver; made by its type's class, or by :func:`get_solver`, which asks the prototxt for the type.

    Args:
        filename: the solver's prototxt.

    Raises:
        CaffeError: a file cannot be read, the solver or a net is wrong.
    """

    kind: ClassVar[str] = ""

    def __init__(self, filename: PathLike) -> None:
        if not self.kind:
            raise TypeError("Solver has no type; use caffe.get_solver(file), or caffe.SGDSolver(file) and its like")
        require_file(filename)
        param = read_solver(filename)
        param.type = self.kind
        self._solver = SOLVERS[self.kind](param, filename)
        self._net = Net._of(self._solver.net)
        self._test_nets = [Net._of(net) for net in self._solver.test_nets]

    @property
    def net(self) -> Net:
        """The net that is trained."""
        return self._net

    @property
    def test_nets(self) -> list[Net]:
        """The nets that are tested; their weights are the trained net's from the first test or share_with on."""
        return self._test_nets

    @property
    def iter(self) -> int:
        """How many updates the weights have had."""
        return self._solver.iter

    @property
    def param(self) -> Any:
        """The SolverParameter: base_lr, max_iter, display, …"""
        return self._solver.param

    @property
    def lr(self) -> float:
        """The rate of the present iteration."""
        return learning_rate(self._solver.param, self._solver.iter, self._solver.current_step)[0]

    def step(self, iterations: int) -> None:
        """Train for so many iterations; displays, tests and snapshots as the prototxt says."""
        self._solver.step(iterations)

    def solve(self, resume_file: PathLike | None = None) -> None:
        """Train until max_iter, going on from a snapshot if one is given."""
        self._solver.solve(resume_file)

    def restore(self, state_file: PathLike) -> None:
        """Go on from a ``.solverstate``, binary or HDF5."""
        require_file(state_file)
        self._solver.restore(state_file)

    def snapshot(self) -> None:
        """Write the weights and the state."""
        self._solver.snapshot()

    def apply_update(self) -> None:
        """Change the weights by the gradients that the net holds; counts as an iteration."""
        self._solver.apply_update()

    def share_weights(self, net: Net) -> None:
        """Let ``net`` use the trained net's weights, the very same memory."""
        net.share_with(self._net)

    def add_callback(self, on_start: Callable[[], Any], on_gradients_ready: Callable[[], Any] | None = None) -> None:
        """Call something at the start of every iteration and when its gradients are ready."""
        self._solver.callbacks.append((on_start, on_gradients_ready or (lambda: None)))


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""

    kind = "SGD"


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient."""

    kind = "Nesterov"


class AdaGradSolver(Solver):
    """Rates by the sum of squared gradients."""

    kind = "AdaGrad"


class RMSPropSolver(Solver):
    """Rates by a running mean of squared gradients."""

    kind = "RMSProp"


class AdaDeltaSolver(Solver):
    """Rates by running means of squared gradients and updates."""

    kind = "AdaDelta"


class AdamSolver(Solver):
    """Rates by running means of gradients and their squares."""

    kind = "Adam"


_CLASSES = {
    cls.kind: cls for cls in (AdaDeltaSolver, AdaGradSolver, AdamSolver, NesterovSolver, RMSPropSolver, SGDSolver)
}


def get_solver(filename: PathLike) -> Solver:
    """The solver of the type that its prototxt names.

    Raises:
        CaffeError: a file cannot be read, the type is unknown, the solver or a net is wrong.
    """
    require_file(filename)
    kind = read_solver(filename).type
    if kind not in _CLASSES:
        raise CaffeError(
            f"{os.fspath(filename)}: unknown solver type {kind!r}",
            nearest(kind, _CLASSES) or f"known: {', '.join(_CLASSES)}",
        )
    return _CLASSES[kind](filename)


def set_solver_count(count: int) -> None:
    """How many solvers share the work.

    Raises:
        ValueError: it is not positive.
    """
    if count < 1:
        raise ValueError(f"the solver count {count} is not positive")
    common.set_solver_count(count)


def set_multiprocess(multiprocess: bool) -> None:
    """Nothing to set: every solver is a process of its own here."""


def has_nccl() -> bool:
    """Is there NCCL? Not here."""
    return False


class NCCL:
    """Gradients summed over GPUs: not offered."""

    def __init__(self, *_arguments: Any) -> None:
        raise CaffeRuntimeError("this engine has no NCCL (caffe.has_nccl() is False)", "train on one GPU")

    @staticmethod
    def new_uid() -> str:
        """Raise: this engine does not offer it."""
        raise CaffeRuntimeError("this engine has no NCCL (caffe.has_nccl() is False)", "train on one GPU")
