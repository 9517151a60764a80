"""``caffe train``. Source: ``tools/caffe.cpp`` (train)."""

from __future__ import annotations

import re
from typing import Any

from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_solver
from torchcaffe import log
from torchcaffe.solvers.registry import make_solver
from torchcaffe.tools import device
from torchcaffe.tools.program import CheckError
from torchcaffe.tools.signals import Signals


def train(flags: dict[str, Any]) -> int:
    """Train a solver's net to the end, or until a signal.

    Raises:
        CheckError: flags are missing or contradict each other.
        CaffeError: the solver, a net, a snapshot or the data is wrong.
    """
    if not flags["solver"]:
        raise CheckError("caffe.cpp:167", "FLAGS_solver.size() > 0 (0 vs. 0) Need a solver definition to train.")
    if flags["snapshot"] and flags["weights"]:
        raise CheckError(
            "caffe.cpp:168",
            "!FLAGS_snapshot.size() || !FLAGS_weights.size() "
            "Give a snapshot to resume training or weights to finetune but not both.",
        )
    signals = Signals(flags["sigint_effect"], flags["sighup_effect"])
    param = read_solver(flags["solver"])
    param.train_state.level = flags["level"]
    param.train_state.stage.extend(stages(flags))
    gpu = flags["gpu"]
    if not gpu and param.HasField("solver_mode") and param.solver_mode == caffe_pb2.SolverParameter.GPU:
        gpu = str(param.device_id)
    device.use(gpu, flags["precision"], "caffe.cpp:197")
    if flags["snapshot"] or flags["weights"]:
        del param.weights[:]
    if flags["weights"]:
        param.weights.append(flags["weights"])
    with signals:
        solver = make_solver(param, flags["solver"])
        solver.action = signals.action
        if flags["snapshot"]:
            log.info("caffe.cpp:235", "Resuming from %s", flags["snapshot"])
            solver.restore(flags["snapshot"])
        log.info("caffe.cpp:239", "Starting Optimization")
        solver.solve()
    log.info("caffe.cpp:250", "Optimization Done.")
    return 0


def stages(flags: dict[str, Any]) -> list[str]:
    """The ``-stage`` flag's parts; one empty one if it is not given, as in Caffe."""
    return re.split(",", flags["stage"])
