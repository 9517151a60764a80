"""Tests: mean outputs over ``test_iter`` batches, and how outputs are displayed. Source: ``solver.cpp`` (Test)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from torchcaffe import log
from torchcaffe.net import Net

if TYPE_CHECKING:
    from torchcaffe.solvers.base import Solver


def test(solver: Solver, index: int) -> list[Any] | None:
    """Test a net with the weights as they are, which it shares; the data go on where the last test left off.

    Returns:
        the mean of each output blob, flattened; None if a stop was asked for meanwhile.
    """
    log.info("solver.cpp:347", "Iteration %d, Testing net (#%d)", solver.iter, index)
    net, count = solver.test_nets[index], solver.param.test_iter[index]
    net.share_trained_layers_with(solver.net)
    sums: list[torch.Tensor] = []
    total = torch.zeros((), dtype=net.dtype, device=net.device)
    for i in range(count):
        _obey(solver)
        if solver.stopping:
            log.info("solver.cpp:393", "Test interrupted.")
            return None
        loss = net.forward()
        total = total + loss
        outputs = [net.blobs[j].data.reshape(-1) for j in net.outputs]
        if i == 0:
            sums = [output.clone() for output in outputs]
        else:
            for sum_, output in zip(sums, outputs):
                sum_.add_(output)
    if solver.param.test_compute_loss:
        log.info("solver.cpp:401", "Test loss: %g", float(total) / count)
    means = [(sum_ / count).cpu().numpy() for sum_ in sums]
    log_scores(net, "solver.cpp:414", "Test", means)
    return means


def _obey(solver: Solver) -> None:
    request = solver.action()
    while request != "none":
        if request == "snapshot":
            solver.snapshot()
        elif request == "stop":
            solver.stopping = True
        request = solver.action()


def log_scores(net: Net, at: str, what: str, scores: Sequence[Any]) -> None:
    """Say the net's outputs: ``    Train net output #0: loss = 2.3 (* 1 = 2.3 loss)``, a line a number."""
    weights = loss_weights(net)
    lines = 0
    for j, values in zip(net.outputs, scores):
        name = net.blob_names[j]
        for value in values:
            log.info(at, "    %s net output #%d: %s = %g%s", what, lines, name, value, weighted(value, weights.get(j)))
            lines += 1


def loss_weights(net: Net) -> dict[int, np.float32]:
    """The weight of each blob that counts as a loss, by its index."""
    pairs = (pair for layer, tops in zip(net.layers, net.top_ids) for pair in zip(tops, layer.loss_weights))
    return {j: np.float32(weight) for j, weight in pairs if weight}


def weighted(value: Any, weight: np.float32 | None) -> str:
    """What follows a loss's value in a log line."""
    if weight is None:
        return ""
    with np.errstate(over="ignore", invalid="ignore"):
        return f" (* {weight:g} = {weight * np.float32(value):g} loss)"
