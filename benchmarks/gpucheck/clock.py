"""Time on a device: medians, by events on a GPU."""

from __future__ import annotations

import statistics
import time
from typing import Callable

import torch


def synchronize(device: str) -> None:
    """Wait until the device has done what it was asked to do."""
    if device == "cuda":
        torch.cuda.synchronize()


def median_ms(call: Callable[[], object], device: str, repeats: int = 10, warm: int = 3) -> float:
    """The median milliseconds of a call, after some that do not count."""
    for _ in range(warm):
        call()
    synchronize(device)
    if device != "cuda":
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            call()
            times.append(1000 * (time.perf_counter() - start))
        return statistics.median(times)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    events[0].record()
    for event in events[1:]:
        call()
        event.record()
    synchronize(device)
    return statistics.median(a.elapsed_time(b) for a, b in zip(events, events[1:]))


def step_ms(step: Callable[[int], object], count: int, device: str) -> tuple[float, float]:
    """Milliseconds of one of ``count`` steps that ``step(count)`` takes: until done, and until the host was free."""
    synchronize(device)
    start = time.perf_counter()
    step(count)
    host = time.perf_counter() - start
    synchronize(device)
    return 1000 * (time.perf_counter() - start) / count, 1000 * host / count


def peak_gb(device: str) -> float:
    """The most memory, in GB of 10^9 bytes, that PyTorch's tensors took on the GPU since the process began."""
    return torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else 0.0
