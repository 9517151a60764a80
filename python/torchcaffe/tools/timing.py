"""``caffe time``: milliseconds of each layer, forward and backward. Source: ``tools/caffe.cpp`` (time)."""

from __future__ import annotations

import time
from typing import Any

import torch

from caffefiles.proto import caffe_pb2
from torchcaffe import log
from torchcaffe.net import Net
from torchcaffe.tools import device
from torchcaffe.tools.program import CheckError
from torchcaffe.tools.score import read

_PHASES = {"": caffe_pb2.TRAIN, "TRAIN": caffe_pb2.TRAIN, "TEST": caffe_pb2.TEST}


def timing(flags: dict[str, Any]) -> int:
    """Time a net.

    Raises:
        CheckError: flags are missing or wrong.
        CaffeError: the net or the data are wrong.
    """
    if not flags["model"]:
        raise CheckError("caffe.cpp:331", "FLAGS_model.size() > 0 (0 vs. 0) Need a model definition to time.")
    if flags["phase"] not in _PHASES:
        raise CheckError("caffe.cpp:119", 'phase must be "TRAIN" or "TEST"')
    count = flags["iterations"]
    if count < 1:
        raise CheckError("caffe.cpp:366", f"-iterations {count}: expected at least 1")
    device.use(flags["gpu"], flags["precision"], "caffe.cpp:343")
    net = read(flags, _PHASES[flags["phase"]])
    log.info("caffe.cpp:351", "Performing Forward")
    log.info("caffe.cpp:356", "Initial loss: %g", float(net.forward()))
    log.info("caffe.cpp:357", "Performing Backward")
    net.backward()
    log.info("caffe.cpp:365", "*** Benchmark begins ***")
    log.info("caffe.cpp:366", "Testing for %d iterations.", count)
    clock = _Clock(net)
    forward, backward = [0.0] * len(net.layers), [0.0] * len(net.layers)
    total = 0.0
    for iteration in range(count):
        before = clock.now()
        for i in range(len(net.layers)):
            forward[i] -= clock.now()
            net.forward(i, i)
            forward[i] += clock.now()
        for i in reversed(range(len(net.layers))):
            backward[i] -= clock.now()
            net.backward(i, i)
            backward[i] += clock.now()
        spent = clock.now() - before
        total += spent
        log.info("caffe.cpp:394", "Iteration: %d forward-backward time: %g ms.", iteration + 1, spent)
    log.info("caffe.cpp:397", "Average time per layer: ")
    for i, name in enumerate(net.layer_names):
        log.info("caffe.cpp:400", "%10s\tforward: %g ms.", name, forward[i] / count)
        log.info("caffe.cpp:403", "%10s\tbackward: %g ms.", name, backward[i] / count)
    log.info("caffe.cpp:408", "Average Forward pass: %g ms.", sum(forward) / count)
    log.info("caffe.cpp:410", "Average Backward pass: %g ms.", sum(backward) / count)
    log.info("caffe.cpp:412", "Average Forward-Backward: %g ms.", total / count)
    log.info("caffe.cpp:414", "Total Time: %g ms.", total)
    log.info("caffe.cpp:415", "*** Benchmark ends ***")
    return 0


class _Clock:
    """Milliseconds, once the net's GPU has done what it was asked to do."""

    def __init__(self, net: Net) -> None:
        self._module = None if net.device.type == "cpu" else getattr(torch, net.device.type)

    def now(self) -> float:
        if self._module is not None:
            self._module.synchronize()
        return time.perf_counter() * 1000
