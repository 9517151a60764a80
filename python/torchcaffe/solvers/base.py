"""Solver: nets from a SolverParameter and the loop that trains them. Source: ``solver.cpp``."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Any, Callable

import torch
from foolcaffe.errors import FoolCaffeError
from torchcaffe import common
from torchcaffe.net import Net
from torchcaffe.proto import caffe_pb2
from torchcaffe.prototxt import PathLike, read_net

_TRAIN_NETS = ("net", "net_param", "train_net", "train_net_param")


class Solver:
    """The loop; a subclass brings :meth:`apply_update`.

    Args:
        param: an upgraded SolverParameter (:func:`torchcaffe.prototxt.read_solver`).
        source: where it came from, for errors.
        net_options: passed on to :class:`~torchcaffe.net.Net` (device, dtype).

    Raises:
        FoolCaffeError: the solver or a net is wrong.
    """

    def __init__(self, param: Any, source: PathLike = "<solver>", **net_options: Any) -> None:
        self.param, self.source = param, os.fspath(source)
        self._net_options = net_options
        self.iter = 0
        self.current_step = 0
        self.callbacks: list[tuple[Callable[[], None], Callable[[], None]]] = []
        """Pairs called at the start of an iteration and when its gradients are ready."""
        self._losses: deque[torch.Tensor] = deque(maxlen=max(param.average_loss, 1))
        if param.average_loss < 1:
            raise self.fail(f"average_loss {param.average_loss} must be at least 1")
        if param.iter_size < 1:
            raise self.fail(f"iter_size {param.iter_size} must be at least 1")
        if param.random_seed >= 0:
            common.set_random_seed(param.random_seed + common.solver_rank())
        self.net = self._train_net()
        self.test_nets = self._test_nets()

    def fail(self, message: str, hint: str = "") -> FoolCaffeError:
        """An error that names the solver's file, to be raised."""
        return FoolCaffeError(f"{self.source}: {message}", hint)

    def _read(self, field: str, path: str) -> tuple[Any, str]:
        if not Path(path).is_file():
            raise self.fail(
                f"{field}: there is no file {path!r}", f"paths are relative to the working folder, {Path.cwd()}"
            )
        return read_net(path), path

    def _net(self, net_and_source: tuple[Any, str], phase: int, wanted: Any) -> Net:
        param = caffe_pb2.NetParameter()
        param.CopyFrom(net_and_source[0])
        state = caffe_pb2.NetState(phase=phase)
        state.MergeFrom(param.state)
        if wanted is not None:
            state.MergeFrom(wanted)
        param.state.CopyFrom(state)
        return Net(param, net_and_source[1], **self._net_options)

    def _train_net(self) -> Net:
        given = [name for name in _TRAIN_NETS if self.param.HasField(name)]
        if len(given) != 1:
            raise self.fail(f"{len(given)} of {', '.join(_TRAIN_NETS)} are given", "exactly one must say what to train")
        value = getattr(self.param, given[0])
        net = (value, f"{self.source} ({given[0]})") if given[0].endswith("param") else self._read(given[0], value)
        return self._net(net, caffe_pb2.TRAIN, self.param.train_state if self.param.HasField("train_state") else None)

    def _test_nets(self) -> list[Net]:
        param, count = self.param, len(self.param.test_iter)
        nets = [(net, f"{self.source} (test_net_param)") for net in param.test_net_param]
        nets += [self._read("test_net", path) for path in param.test_net]
        if param.HasField("net_param"):
            nets += [(param.net_param, f"{self.source} (net_param)")] * (count - len(nets))
        elif param.HasField("net"):
            nets += [self._read("net", param.net)] * (count - len(nets)) if count > len(nets) else []
        if len(nets) != count:
            raise self.fail(f"{count} test_iter for {len(nets)} test nets", "give one test_iter for each")
        if param.test_state and len(param.test_state) != count:
            raise self.fail(f"{len(param.test_state)} test_state for {count} test nets", "give one for each, or none")
        if count and param.test_interval < 0:
            raise self.fail(f"test_interval {param.test_interval} is negative")
        states = list(param.test_state) or [None] * count
        return [self._net(net, caffe_pb2.TEST, state) for net, state in zip(nets, states)]

    @property
    def smoothed_loss(self) -> float:
        """The mean loss of the last ``average_loss`` iterations of this :meth:`step` call."""
        return float(torch.stack(list(self._losses)).mean()) if self._losses else 0.0

    def step(self, iterations: int) -> None:
        """Train for so many iterations."""
        self._losses.clear()
        for _ in range(iterations):
            self.net.clear_param_diffs()
            for start, _ready in self.callbacks:
                start()
            loss = torch.zeros((), dtype=self.net.dtype, device=self.net.device)
            for _ in range(self.param.iter_size):
                loss = loss + self.net.forward()
                self.net.backward()
            self._losses.append(loss / self.param.iter_size)
            for _start, ready in self.callbacks:
                ready()
            self.apply_update()
            self.iter += 1

    def apply_update(self) -> None:
        """Change the net's parameters by their gradients, which hold the sum over iter_size batches."""
        raise NotImplementedError(f"{type(self).__name__}.apply_update")
