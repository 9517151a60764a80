"""What a step of the linear net launches: how many kernels, which take the time, and how long the GPU is busy."""

from __future__ import annotations

from typing import Any

import torch

from gpucheck.clock import synchronize
from gpucheck.linear import SHAPE, precisions
from gpucheck.made import linear_solver, made_data
from gpucheck.runner import Context

_STEPS = 10


def run(context: Context) -> str:
    """PyTorch's profiler over ten steps in each precision."""
    device, sizes = context.device, context.sizes
    context.use()
    with made_data(40 * sizes.batch, SHAPE, sizes.classes, device):
        solver = linear_solver(context.folder, sizes.classes, sizes.batch)
    activity = torch.profiler.ProfilerActivity.CUDA if device == "cuda" else torch.profiler.ProfilerActivity.CPU
    kind = torch.autograd.DeviceType.CUDA if device == "cuda" else torch.autograd.DeviceType.CPU
    found: dict[str, Any] = {}
    for precision in precisions(context):
        context.use(precision)
        solver.step(20)
        synchronize(device)
        with torch.profiler.profile(activities=[activity]) as profile:
            solver.step(_STEPS)
            synchronize(device)
        events = [event for event in profile.key_averages() if event.device_type == kind]
        times = {
            event.key: (event.self_device_time_total if device == "cuda" else event.self_cpu_time_total)
            for event in events
        }
        found[precision] = {
            "launches": sum(event.count for event in events) / _STEPS,
            "busy_ms": sum(times.values()) / _STEPS / 1000,
            "longest": [
                {"name": event.key[:160], "us": times[event.key] / _STEPS, "count": event.count / _STEPS}
                for event in sorted(events, key=lambda event: -times[event.key])[:24]
            ],
        }
        context.note(modes=found)
    return "; ".join(
        f"{name}: {each['launches']:.0f} launches a step, busy {each['busy_ms']:.3f} ms" for name, each in found.items()
    )
