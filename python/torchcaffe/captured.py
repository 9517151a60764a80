"""A training step's forward and backward as a CUDA graph: one launch in place of dozens, the same work to the bit.

A small net's step on a GPU ends up waiting for Python, which names one kernel after another. What lies after the
source layers does the same work on the same memory at every step; it is recorded once, and then only started. Sources
and the update stay as they are, so that data may come from anywhere and no rate is baked in. Where the recording could
differ from what the layers would do, it is dropped, and the layers run: see :meth:`CapturedStep.forward_backward`.
"""

from __future__ import annotations

import re
from typing import Any, Callable

import torch

from torchcaffe import log, matmul
from torchcaffe.blob import Storage
from torchcaffe.graphs import CudaGraphs, Machine
from torchcaffe.layers.pooling import Pooling
from torchcaffe.net import Net

_WARM = 3
"""Steps that run as they are before one is recorded: memory is made, libraries choose their kernels."""
_TRIES, _WORTH = 8, 10
"""After so many recordings, each must have been used so often on average; else there are no more."""
_TYPES = frozenset(
    re.findall(
        r"\w+",
        "AbsVal Accuracy BatchNorm Bias BNLL Concat Convolution Deconvolution Eltwise ELU EuclideanLoss Exp Flatten "
        "HingeLoss InnerProduct Log LRN Pooling Power PReLU ReLU Reshape Scale Sigmoid SigmoidCrossEntropyLoss Silence "
        "Slice Softmax SoftmaxWithLoss Split Swish TanH Threshold",
    )
)
"""Layers that only start work on the device, the same at every step: no random numbers, nothing decided on the host."""

_enabled = True


def set_enabled(enabled: bool) -> None:
    """Are steps recorded at all? They are, where possible, unless this says no."""
    global _enabled
    _enabled = enabled


class _Recording:
    """A recorded step, and all that it takes for granted; holding the memory keeps it from being given to others."""

    def __init__(self, net: Net) -> None:
        blobs = [*net.blobs, *(blob for layer in net.layers for blob in layer.blobs)]
        self._places = [(blob, blob.shape, blob.storages) for blob in blobs]
        self._storages: list[Storage] = list({id(s): s for _, _, pair in self._places for s in pair}.values())
        for storage in self._storages:
            storage.settle()
        self._memory = [storage.held for storage in self._storages]
        self._before = [storage.cleared for storage in self._storages]
        self._after = self._before
        self._kept = [(vars(layer), dict(vars(layer))) for layer in net.layers]
        self._constants: list[tuple[dict[str, Any], str, torch.Tensor]] = []
        self._wanted = _wanted(net)
        self._settings = _settings()
        self._replay: Callable[[], None] = lambda: None
        self._loss = torch.empty(0)
        self.used = 0

    def capture(self, machine: Machine, call: Callable[[], torch.Tensor]) -> bool:
        """Record; False, with everything as before, if that fails or memory was made that is not the recording's."""
        good = False
        try:
            self._replay, self._loss = machine.capture(call)
            self._after = [storage.cleared for storage in self._storages]
            good = all(storage.held is tensor for storage, tensor in zip(self._storages, self._memory))
        except Exception as problem:  # whatever it is: the layers themselves will do it, or raise it again
            log.info("captured.py:1", "The step is not recorded: %s", str(problem).partition("\n")[0])
        finally:  # nothing of it has happened
            for storage, tensor, cleared in zip(self._storages, self._memory, self._before):
                storage.put_back(tensor, cleared)
            if not good:
                for now, before in self._kept:
                    now.clear()
                    now.update(before)
        # what a layer keeps from step to step; what it makes anew each time is now the recording's own
        for now, before in self._kept:
            tensors = [(name, value) for name, value in before.items() if isinstance(value, torch.Tensor)]
            self._constants += [(now, name, value) for name, value in tensors if now.get(name) is value]
        self._kept.clear()
        return good

    def fits(self, net: Net) -> bool:
        """Would the layers do what was recorded, with the same memory?"""
        return (
            all(blob.shape == shape and blob.storages == pair for blob, shape, pair in self._places)
            and all(tensor is None or tensor is s.held for s, tensor in zip(self._storages, self._memory))
            and [storage.cleared for storage in self._storages] == self._before
            and all(kept.get(name) is value for kept, name, value in self._constants)
            and _wanted(net) == self._wanted
            and _settings() == self._settings
        )

    def replay(self) -> torch.Tensor:
        """Do it; the loss."""
        for storage in self._storages:
            storage.settle()
        self._replay()
        for storage, cleared in zip(self._storages, self._after):
            storage.cleared = cleared
        self.used += 1
        return self._loss.clone()


class CapturedStep:
    """Forward and backward of a net, recorded where that is possible.

    Args:
        net: the net.
        machine: records and replays; by default the net's GPU, if PyTorch can record there.
    """

    def __init__(self, net: Net, machine: Machine | None = None) -> None:
        self._net, self._given = net, machine is not None
        self._machine: Machine | None = machine
        self._recording: _Recording | None = None
        self._warm = self._passes = self._made = self._used = 0
        self._off = False
        self._first = _first(net)
        self._device: torch.device | None = None

    @property
    def used(self) -> int:
        """How many steps a recording has done."""
        return self._used + (self._recording.used if self._recording else 0)

    def forward_backward(self) -> torch.Tensor:
        """The loss; gradients are added to the parameters' as :meth:`Net.backward` does.

        Recorded on CUDA only, for a net whose first layers are sources (no bottoms, no parameters, no loss) and whose
        others are all of known types; not while the net has callbacks or writes debug_info. A recording is dropped
        when the net was run or reshaped otherwise in between, when a blob's shape or memory, a wanted gradient, the
        precision, or whether gradients start from zero has changed, and when something that a layer kept was replaced.
        """
        net = self._net
        if not self._possible():
            self._drop()
            loss = net.forward()
            net.backward()
            return loss
        if net.passes != self._passes:
            self._drop()
        net.run(0, self._first - 1)
        if self._recording is not None and not self._recording.fits(net):
            self._drop()
        loss = self._recording.replay() if self._recording is not None else self._not_replayed()
        self._passes = net.passes
        return loss

    def _not_replayed(self) -> torch.Tensor:
        assert self._machine is not None
        self._warm += 1
        if self._warm <= _WARM:  # the first pass makes the blobs' memory, which is to be of the usual stream
            return self._compute() if self._warm == 1 else self._machine.aside(self._compute)
        recording = _Recording(self._net)
        self._made += 1
        if recording.capture(self._machine, self._compute):
            self._recording = recording
            return recording.replay()
        self._off = True
        return self._compute()

    def _compute(self) -> torch.Tensor:
        net, last = self._net, len(self._net.layers) - 1
        loss = net.run(self._first, last)
        net.backward(last, self._first)
        return torch.zeros((), dtype=net.dtype, device=net.device) if loss is None else loss

    def _drop(self) -> None:
        self._used, self._recording, self._warm = self.used, None, 0

    def _possible(self) -> bool:
        net = self._net
        hooks = net.before_forward or net.after_forward or net.before_backward or net.after_backward
        if not _enabled or self._off or not self._first or hooks or net.debug_info:
            return False
        if self._made >= _TRIES and self.used < _WORTH * self._made:
            return False
        net.follow_mode()
        if not self._given and net.device != self._device:
            self._device = net.device
            self._machine = CudaGraphs(net.device) if net.device.type == "cuda" else None
        return self._machine is not None


def _first(net: Net) -> int:
    """The first layer to be recorded; 0 if none can be."""
    sources = 0
    while sources < len(net.layers) and not net.bottom_ids[sources]:
        layer = net.layers[sources]
        if layer.blobs or net.layer_needs_backward[sources] or any(layer.loss_weights):
            return 0
        sources += 1
    rest = net.layers[sources:]
    return sources if rest and all(_known(layer) for layer in rest) else 0


def _known(layer: Any) -> bool:
    kind = type(layer)
    if kind.__name__ not in _TYPES or not kind.__module__.startswith("torchcaffe.layers."):
        return False
    return not (isinstance(layer, Pooling) and layer.stochastic)


def _wanted(net: Net) -> tuple[Any, ...]:
    """Which gradients are computed."""
    params = [tuple(layer.param_propagate_down) for layer in net.layers]
    return params, list(net.layer_needs_backward), [tuple(below) for below in net.bottom_needs_backward]


def _settings() -> tuple[Any, ...]:
    """What else decides which kernels run."""
    cudnn = torch.backends.cudnn
    strict = torch.are_deterministic_algorithms_enabled()
    return *matmul.precision(), cudnn.enabled, cudnn.benchmark, cudnn.deterministic, strict
