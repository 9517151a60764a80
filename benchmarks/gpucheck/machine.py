"""What the machine is, and what it does at best: copies and large products of random numbers."""

from __future__ import annotations

import platform
import subprocess
from typing import Any

import torch

from gpucheck.clock import median_ms
from gpucheck.runner import Context

_QUERY = "name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit"


def run(context: Context) -> str:
    """Names and versions, copy bandwidth, product rates."""
    device, sizes = context.device, context.sizes
    context.note(**_names(device))
    context.note(copy_gb_s=2 * sizes.copy / _copy_ms(sizes.copy, device) / 1e6)
    rates: dict[str, float] = {}
    for precision in ("float32", "tf32", "bf16"):
        if device == "cpu" and precision == "tf32":
            continue
        context.use(precision)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        a, b = (torch.randn(sizes.product, sizes.product, device=device).to(dtype) for _ in range(2))
        c = torch.empty_like(a)
        ms = median_ms(lambda a=a, b=b, c=c: torch.mm(a, b, out=c), device)  # type: ignore[misc]
        rates[precision] = 2 * sizes.product**3 / ms / 1e9
        context.note(tflops=rates)
    said = ", ".join(f"{name} {rate:.3g}" for name, rate in rates.items())
    return f"{context.notes['name']}: copies {context.notes['copy_gb_s']:.0f} GB/s, products in TFLOP/s: {said}"


def _copy_ms(size: int, device: str) -> float:
    source = torch.empty(size // 4, device=device).normal_()
    target = torch.empty_like(source)
    return median_ms(lambda: target.copy_(source), device)


def _names(device: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    if device == "cpu":
        return found
    properties = torch.cuda.get_device_properties(0)
    found.update(
        name=properties.name,
        memory_gb=properties.total_memory / 1e9,
        multiprocessors=properties.multi_processor_count,
        capability=f"{properties.major}.{properties.minor}",
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),
    )
    try:
        command = ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader", "--id=0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        found.update(zip(_QUERY.replace(".", "_").split(","), (part.strip() for part in done.stdout.split(","))))
        found["driver"] = found.pop("driver_version")
    except (OSError, subprocess.SubprocessError) as error:
        found["driver"] = f"unknown: {type(error).__name__}"
    return found
