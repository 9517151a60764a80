"""Recorded steps are the layers' own steps, and a recording is dropped when it no longer is: here on the CPU.

In place of a CUDA graph stands a recorder of PyTorch's operators, which is as blind as one: it repeats them on the very
tensors that they had, whatever the layers have become since.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from torch.utils._python_dispatch import TorchDispatchMode
from training import SHAPE, write_db

from caffefiles.proto import caffe_pb2
from torchcaffe import captured, common, matmul
from torchcaffe.captured import CapturedStep
from torchcaffe.data import resident
from torchcaffe.layers.registry import LAYERS
from torchcaffe.solvers import fused
from torchcaffe.solvers.registry import make_solver

BATCH = 6


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result


class Repeats:
    """A machine that records operators; nothing has happened after a recording, as with a CUDA graph."""

    def __init__(self, solver: Any) -> None:
        self.solver, self.captures, self.replays, self.warm = solver, 0, 0, 0
        self.problem: Exception | None = None

    def aside(self, call: Callable[[], torch.Tensor]) -> torch.Tensor:
        self.warm += 1
        return call()

    def capture(self, call: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        self.captures += 1
        net = self.solver.net
        memory = [s.held for blob in (*net.blobs, *net.params.learnable) for s in blob.storages if s.held is not None]
        before = [tensor.clone() for tensor in memory]
        try:
            with _Recorder() as recorder:
                result = call()
                if self.problem is not None:
                    raise self.problem
        finally:
            for tensor, values in zip(memory, before):
                tensor.copy_(values)

        def replay() -> None:
            self.replays += 1
            for func, args, kwargs, recorded in recorder.calls:
                again = func(*args, **kwargs)
                for new, old in zip(_tensors(again), _tensors(recorded)):
                    if new.data_ptr() != old.data_ptr():
                        old.detach().copy_(new.detach())

        return replay, result


def _tensors(value: Any) -> list[torch.Tensor]:
    values = value if isinstance(value, (tuple, list)) else [value]
    return [each for each in values if isinstance(each, torch.Tensor) and each.numel()]


LINEAR = """
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 10 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "top1" type: "Accuracy" bottom: "fc" bottom: "label" top: "top1" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
CONVOLVED = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ave" type: "Pooling" bottom: "conv" top: "ave" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "max" type: "Pooling" bottom: "conv" top: "max" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "cat" type: "Concat" bottom: "ave" bottom: "max" top: "cat" }
layer { name: "norm" type: "LRN" bottom: "cat" top: "norm" }
layer { name: "fc" type: "InnerProduct" bottom: "norm" top: "fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
DATA = f"""layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ scale: 0.01 mirror: true }}
  data_param {{ source: "db" backend: LMDB batch_size: {BATCH} }} }}"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Records that are kept as bytes, so that batches come into memory that stays, as on a GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resident, "fits", lambda *_: True)
    write_db(tmp_path)
    yield
    captured.set_enabled(True)


def make(layers: str, recorded: bool = True, **options: Any) -> tuple[Any, Repeats]:
    """A solver of the layers, from one seed."""
    param = caffe_pb2.SolverParameter(
        base_lr=0.01, lr_policy="inv", gamma=0.1, power=0.75, momentum=0.9, weight_decay=0.01, random_seed=3, **options
    )
    param.net_param.CopyFrom(text_format.Parse(DATA + layers, caffe_pb2.NetParameter()))
    solver = make_solver(param, "made")
    machine = Repeats(solver)
    if recorded:
        solver.captured = CapturedStep(solver.net, machine)
    return solver, machine


def train(solver: Any, steps: int) -> tuple[list[float], list[np.ndarray]]:
    """Losses of every step; all blobs, gradients, parameters, statistics and histories at the end."""
    losses = []
    for _ in range(steps):
        solver.step(1)
        losses.append(solver.smoothed_loss)
    blobs = [*solver.net.blobs, *(blob for layer in solver.net.layers for blob in layer.blobs)]
    arrays = [array.copy() for blob in blobs for array in (blob.array, blob.diff_array)]
    return losses, arrays + [history.numpy().copy() for history in solver.history]


def same(ours: tuple[list[float], list[np.ndarray]], theirs: tuple[list[float], list[np.ndarray]]) -> None:
    assert ours[0] == theirs[0]
    assert len(set(ours[0])) > 3
    for a, b in zip(ours[1], theirs[1]):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("layers", [LINEAR, CONVOLVED], ids=["linear", "convolved"])
def test_a_replayed_training_is_the_same_to_the_bit(layers: str, kind: str) -> None:
    options = {"type": kind, "clip_gradients": 5.0, **({"momentum2": 0.999} if kind == "Adam" else {})}
    solver, machine = make(layers, **options)
    ours = train(solver, 14)
    assert (machine.warm, machine.captures, machine.replays) == (2, 1, 11)
    assert solver.captured.used == 11
    same(ours, train(make(layers, recorded=False, **options)[0], 14))


def _runs_the_net(solver: Any) -> None:
    solver.net.forward()


def _reads_arrays(solver: Any) -> None:
    assert all(np.isfinite(blob.array).all() and np.isfinite(blob.diff_array).all() for blob in solver.net.blobs)


def _writes_weights(solver: Any) -> None:
    solver.net.layer("fc").blobs[0].array[...] *= 0.5


def _moves_weights(solver: Any) -> None:
    weights = solver.net.layer("fc").blobs[0]
    weights.storages[0].replace(weights.data.clone())


def _holds_a_layer(solver: Any) -> None:
    solver.net.layer("fc").param_propagate_down[1] = False


def _adds_a_callback(solver: Any) -> None:
    solver.net.after_forward.append(lambda _: None)


def _smaller_batch(solver: Any) -> None:
    data = solver.net.layers[0]
    data._resident._batch = 4
    for blob, shape in zip(solver.net.blobs, ((4, *SHAPE), (4,))):
        blob.reshape(*shape)


def _starts_from_a_gradient(solver: Any) -> None:
    solver.callbacks.append((lambda: solver.net.layer("fc").blobs[0].diff.fill_(1.0), lambda: None))


def _writes_debug_info(solver: Any) -> None:
    solver.param.display, solver.param.debug_info = 1, True


def _bfloat16(_: Any) -> None:
    matmul.set_precision("bf16")


@pytest.mark.parametrize(
    ("between", "captures"),
    [
        (_runs_the_net, 2),
        (_reads_arrays, 1),
        (_writes_weights, 1),
        (_moves_weights, 2),
        (_holds_a_layer, 2),
        (_adds_a_callback, 1),
        (_smaller_batch, 2),
        (_starts_from_a_gradient, 2),
        (_writes_debug_info, 1),
        (_bfloat16, 2),
    ],
)
def test_what_happens_in_between_counts(between: Callable[[Any], None], captures: int) -> None:
    results = []
    try:
        for recorded in (True, False):
            matmul.set_precision("float32")
            solver, machine = make(LINEAR, recorded)
            first, _ = train(solver, 6)
            between(solver)
            second, arrays = train(solver, 7)
            results.append((first + second, arrays))
            if recorded:
                assert machine.captures == captures
                assert machine.replays == {_adds_a_callback: 3, _writes_debug_info: 3}.get(between, 13 - 3 * captures)
    finally:
        matmul.set_precision("float32")
    same(*results)


def test_a_failed_recording_costs_nothing() -> None:
    solver, machine = make(CONVOLVED)
    machine.problem = RuntimeError("operation not permitted when stream is capturing")
    solver.step(3)
    pool, gradient = solver.net.layer("ave"), solver.net.blob("data").storages[1]
    really = pool.forward

    def forward(bottom: Any, top: Any) -> None:
        really(bottom, top)
        if machine.captures and not seen:
            seen.append(gradient.tensor())
            pool.made_within = torch.zeros(1)

    seen: list[torch.Tensor] = []
    pool.forward = forward
    solver.step(1)
    assert seen
    assert gradient.held is None  # these would hold what was never computed
    assert not hasattr(pool, "made_within")
    ours = train(solver, 4)
    assert (machine.captures, solver.captured.used) == (1, 0)
    ours = (train(make(CONVOLVED, recorded=False)[0], 4)[0] + ours[0], ours[1])
    same(ours, train(make(CONVOLVED, recorded=False)[0], 8))


def test_memory_that_moves_at_every_step_ends_the_tries() -> None:
    solver, machine = make(LINEAR)
    replaced = solver.net.layers[0].forward

    def forward(bottom: Any, top: Any) -> None:
        replaced(bottom, top)
        top[0].storages[0].replace(top[0].data.clone())

    solver.net.layers[0].forward = forward
    ours = train(solver, 60)
    assert machine.captures == 8
    assert machine.replays == 8
    same(ours, train(make(LINEAR, recorded=False)[0], 60))


@pytest.mark.parametrize(
    "options", [{}, {"type": "Nesterov"}, {"regularization_type": "L1"}, {"iter_size": 2}], ids=str
)
def test_updates_together_are_the_single_ones(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    alone = train(make(CONVOLVED, recorded=False, **options)[0], 6)
    calls = []
    really = fused.momentum_steps
    monkeypatch.setattr(
        fused, "momentum_steps", lambda triples, *rest: calls.append(len(triples)) or really(triples, *rest)
    )
    monkeypatch.setattr(fused, "TOGETHER", ("cpu",))
    same(train(make(CONVOLVED, recorded=False, **options)[0], 6), alone)
    # weights and biases of three layers, and the three statistics of BatchNorm, which do not learn
    assert calls == ([] if "type" in options else [6, 3] * 6)


DROPPED = LINEAR + 'layer { name: "drop" type: "Dropout" bottom: "fc" top: "drop" }'
DRAWN = """
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: STOCHASTIC kernel_size: 2 } }
layer { name: "quiet" type: "Silence" bottom: "pool" }"""
LATE = LINEAR + 'layer { name: "late" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }'


@pytest.mark.parametrize("layers", [DROPPED, LINEAR + DRAWN, LATE], ids=["dropout", "stochastic", "a late source"])
def test_other_nets_run_as_they_are(layers: str) -> None:
    solver, machine = make(layers)
    solver.step(6)
    assert (machine.captures, machine.warm) == (0, 0)


def test_switched_off_summed_or_on_a_cpu() -> None:
    solver, machine = make(LINEAR, iter_size=2)
    solver.step(6)
    assert machine.captures == 0
    solver, machine = make(LINEAR)
    captured.set_enabled(False)
    solver.step(6)
    assert machine.captures == 0
    captured.set_enabled(True)
    solver, _ = make(LINEAR, recorded=False)
    solver.step(6)
    assert solver.captured.used == 0
    assert common.device().type == "cpu"


def test_all_recorded_types_are_layers() -> None:
    assert set(LAYERS) >= captured._TYPES
