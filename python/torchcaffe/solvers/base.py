"""Solver: nets from a SolverParameter and the loop that trains them. Source: ``solver.cpp``."""

from __future__ import annotations

import os
import time
from typing import Any, Callable

import torch

from caffefiles.errors import CaffeError
from caffefiles.files import PathLike
from torchcaffe import common, log
from torchcaffe.captured import CapturedStep
from torchcaffe.solvers import snapshot
from torchcaffe.solvers.nets import make_test_nets, train_net
from torchcaffe.solvers.smoothing import SmoothedLoss
from torchcaffe.solvers.testing import log_scores, test

NONE, STOP, SNAPSHOT = "none", "stop", "snapshot"
"""What can be asked of a solver while it works: :attr:`Solver.action`."""


class Solver:
    """The loop; a subclass brings :meth:`apply_update` and ``history``.

    Args:
        param: an upgraded SolverParameter (:func:`caffefiles.prototxt.read_solver`).
        source: where it came from, for errors.
        net_options: passed on to :class:`~torchcaffe.net.Net` (device, dtype).

    Raises:
        CaffeError: the solver or a net is wrong, or snapshots could not be written.
    """

    def __init__(self, param: Any, source: PathLike = "<solver>", **net_options: Any) -> None:
        self.param, self.source, self.net_options = param, os.fspath(source), net_options
        self.iter = 0
        """How many updates the weights have had."""
        self.current_step = 0
        self.lr = 0.0
        """The rate of the last update."""
        self.stopping = False
        """Has a stop been asked for?"""
        self.action: Callable[[], str] = lambda: NONE
        """Asked after every iteration, and within tests: "none", "stop" or "snapshot"."""
        self.callbacks: list[tuple[Callable[[], None], Callable[[], None]]] = []
        """Pairs called at the start of an iteration and when its gradients are ready."""
        self.history: list[torch.Tensor] = []
        """What the update remembers; a snapshot holds it."""
        log.info("solver.cpp:45", "Initializing solver from parameters: \n%s", log.prototxt(param))
        for name in ("average_loss", "iter_size"):
            if getattr(param, name) < 1:
                raise self.fail(f"{name} {getattr(param, name)} must be at least 1")
        snapshot.check_writable(self)
        if param.random_seed >= 0:
            common.set_random_seed(param.random_seed + common.solver_rank())
        self._smoothed = SmoothedLoss(param.average_loss)
        self.net = train_net(self)
        self.captured = CapturedStep(self.net)
        self.test_nets = make_test_nets(self)
        self._displayed, self._since = 0, time.perf_counter()
        log.info("solver.cpp:57", "Solver scaffolding done.")

    def fail(self, message: str, hint: str = "") -> CaffeError:
        """An error that names the solver's file, to be raised."""
        return CaffeError(f"{self.source}: {message}", hint)

    @property
    def smoothed_loss(self) -> float:
        """The mean loss of the last ``average_loss`` iterations of this :meth:`step` call."""
        return float(self._smoothed.value())

    def solve(self, resume_file: PathLike | None = None) -> None:
        """Train until ``max_iter``, or until :attr:`action` says stop; snapshot, test and display when due.

        Raises:
            CaffeError: the snapshot to go on from is wrong, a record is damaged, ...
        """
        log.info("solver.cpp:289", "Solving %s", self.net.name)
        log.info("solver.cpp:290", "Learning Rate Policy: %s", self.param.lr_policy)
        self.stopping = False
        if resume_file is not None:
            log.info("solver.cpp:297", "Restoring previous solver status from %s", os.fspath(resume_file))
            self.restore(resume_file)
        param = self.param
        self.step(param.max_iter - self.iter)
        if param.snapshot_after_train and not self._due(param.snapshot):
            self.snapshot()
        if self.stopping:
            log.info("solver.cpp:311", "Optimization stopped early.")
            return
        if self._due(param.display):
            self._smoothed.add(self.net.forward())
            log.info("solver.cpp:327", "Iteration %d, loss = %g", self.iter, self._smoothed.value())
        if self._due(param.test_interval):
            self.test_all()
        log.info("solver.cpp:332", "Optimization Done.")

    def step(self, iterations: int) -> None:
        """Train for so many iterations."""
        param = self.param
        end = self.iter + iterations
        self._smoothed.restart()
        self._since = time.perf_counter()
        while self.iter < end:
            self.net.clear_param_diffs()
            if self._due(param.test_interval) and (self.iter > 0 or param.test_initialization):
                self.test_all()
                if self.stopping:
                    break
            for start, _ready in self.callbacks:
                start()
            display = self._due(param.display)
            self.net.debug_info = display and param.debug_info
            self._smoothed.add(self._forward_backward())
            if display:
                self._display()
            for _start, ready in self.callbacks:
                ready()
            self.apply_update()
            request = self.action()
            if self._due(param.snapshot) or request == SNAPSHOT:
                self.snapshot()
            if request == STOP:
                self.stopping = True
                break

    def _due(self, interval: int) -> bool:
        return bool(interval) and self.iter % interval == 0

    def _forward_backward(self) -> torch.Tensor:
        if self.param.iter_size == 1:
            return self.captured.forward_backward()
        loss = self.net.forward()
        self.net.backward()
        for _ in range(self.param.iter_size - 1):  # these begin from other gradients than the first: none is recorded
            loss = loss + self.net.forward()
            self.net.backward()
        mean: torch.Tensor = loss / self.param.iter_size
        return mean

    def _display(self) -> None:
        loss = self._smoothed.value()  # waits for a GPU to be done
        lapse = time.perf_counter() - self._since
        rate = (self.iter - self._displayed) / (lapse or 1)
        log.info(
            "solver.cpp:239",
            "Iteration %d (%g iter/s, %gs/%d iters), loss = %g",
            *(self.iter, rate, lapse, self.param.display, loss),
        )
        self._since, self._displayed = time.perf_counter(), self.iter
        log_scores(self.net, "solver.cpp:258", "Train", [self.net.blobs[j].array.ravel() for j in self.net.outputs])

    def test_all(self) -> None:
        """Test every test net, unless a stop is asked for."""
        for i in range(len(self.test_nets)):
            if not self.stopping:
                test(self, i)

    def apply_update(self) -> None:
        """Change the net's parameters by their gradients, which hold the sum over iter_size batches; count it.

        Raises:
            CaffeError: the learning rate's policy is wrong.
        """
        raise NotImplementedError(f"{type(self).__name__}.apply_update")

    def snapshot(self) -> None:
        """Write the weights, then the state, each whole or not at all."""
        snapshot.write(self)

    def restore(self, path: PathLike) -> None:
        """Go on from a ``.solverstate`` or ``.solverstate.h5``; data layers begin anew.

        Raises:
            CaffeError: it, or the weights that it names, cannot be used with this solver.
        """
        snapshot.restore(self, path)

    def set_iter(self, iteration: int, current_step: int) -> None:
        """Go on counting from here."""
        self.iter, self.current_step = iteration, current_step
