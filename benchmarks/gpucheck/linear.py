"""The post's classifier at ImageNet's size, from bytes that lie on the device: milliseconds a step, beside its floor."""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch

from gpucheck.bare import Bare
from gpucheck.clock import median_ms, peak_gb, step_ms
from gpucheck.made import linear_solver, made_data
from gpucheck.runner import Context
from torchcaffe import captured
from torchcaffe.matmul import mm
from torchcaffe.solvers.fused import momentum_steps

SHAPE = (3, 64, 64)
INPUTS = math.prod(SHAPE)
_QUEUED = 30
"""Steps whose launches fit into the GPU's queue: the host does not wait for it."""


def precisions(context: Context) -> list[str]:
    """Those that the device has."""
    return ["float32", "tf32", "bf16"] if context.device == "cuda" else ["float32"]


def run(context: Context) -> str:
    """torchcaffe's own solver in each precision, bare PyTorch beside it, the floor."""
    device, sizes = context.device, context.sizes
    context.use()
    steps_an_epoch = math.ceil(sizes.records / sizes.batch)
    with made_data(sizes.records, SHAPE, sizes.classes, device) as seen:
        solver = linear_solver(context.folder, sizes.classes, sizes.batch)
    context.note(steps_an_epoch=steps_an_epoch, resident=bool(seen["fits"]), records=sizes.records, modes={})
    modes: dict[str, Any] = context.notes["modes"]
    for precision in precisions(context):
        context.use(precision)
        solver.step(min(50, sizes.steps))
        rounds = [step_ms(solver.step, sizes.steps, device)[0] for _ in range(3)]
        ms = statistics.median(rounds)
        found = {"ms": ms, "rounds": rounds, "host_ms": step_ms(solver.step, min(_QUEUED, sizes.steps), device)[1]}
        found["epoch_s"] = ms * steps_an_epoch / 1000
        if found["epoch_s"] <= sizes.epoch_seconds:
            whole = step_ms(solver.step, steps_an_epoch, device)[0]
            found.update(epoch_s=whole * steps_an_epoch / 1000, whole_epoch=True)
        captured.set_enabled(False)
        solver.step(min(20, sizes.steps))
        found["eager_ms"] = statistics.median(step_ms(solver.step, sizes.steps, device)[0] for _ in range(3))
        context.use(precision)
        found.update(floor(context, precision))
        found["over_floor"] = found["ms"] / found["floor_ms"]
        loss = solver.smoothed_loss
        found["loss"] = loss
        if not math.isfinite(loss):
            raise ValueError(f"the loss is {loss} after {solver.iter} steps in {precision}")
        modes[precision] = found
        context.note(peak_gb=peak_gb(device))
    pixels, labels = seen["records"]
    mean = torch.zeros(SHAPE, device=device) + 127.5
    for precision, found in modes.items():
        context.use(precision)
        bare = Bare(pixels, labels, sizes.classes, sizes.batch, mean, precision == "bf16")
        bare.step(min(20, sizes.steps))
        found["bare_ms"] = statistics.median(step_ms(bare.step, sizes.steps, device)[0] for _ in range(3))
        found["over_bare"] = found["ms"] / found["bare_ms"]
        context.note()
        if device == "cuda":
            bare.capture()
            bare.step(20)
            found["bare_graph_ms"] = statistics.median(step_ms(bare.step, sizes.steps, device)[0] for _ in range(3))
        found["parts_ms"] = parts(context, precision)
        context.note()
    said = "; ".join(
        f"{name} {found['ms']:.3f} ms a step, epoch {found['epoch_s']:.2f} s, {found['over_floor']:.2f} × floor, "
        f"{found['over_bare']:.2f} × bare loop"
        for name, found in modes.items()
    )
    return f"{said}; peak {context.notes['peak_gb']:.1f} GB"


def floor(context: Context, precision: str) -> dict[str, float]:
    """Milliseconds that no step can undercut, from the rates of the machine step, and one without overlap.

    Operations: two products of batch × inputs × classes. Bytes: each pixel read once; the weights read forward, and
    read and written by the update, which reads and writes the history: five times 4 bytes a weight. ``floor_ms`` is
    the larger of the two times. ``serial_ms`` is their sum, with the gradient written and read and the float pixels
    written once and read twice, which is what kernels that are not fused with the products must do.
    """
    sizes, machine = context.sizes, context.found.get("machine", {})
    if "tflops" not in machine:
        raise ValueError("the machine step has measured no rates, so that there is no floor")
    weights, values = 4 * sizes.classes * INPUTS, sizes.batch * INPUTS
    operations = 4 * sizes.batch * INPUTS * sizes.classes
    products = operations / machine["tflops"].get(precision, machine["tflops"]["float32"]) / 1e9
    fewest, separate = 5 * weights + values, 7 * weights + 13 * values
    moved = fewest / machine["copy_gb_s"] / 1e6
    return {
        "operations": operations,
        "bytes": fewest,
        "products_ms": products,
        "bytes_ms": moved,
        "floor_ms": max(products, moved),
        "serial_ms": products + separate / machine["copy_gb_s"] / 1e6,
    }


def parts(context: Context, precision: str) -> dict[str, float]:
    """Milliseconds of the step's parts on their own, and of other ways to do some of them."""
    sizes, device = context.sizes, context.device
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    x = torch.randn(sizes.batch, INPUTS, device=device).to(dtype)
    dy = torch.randn(sizes.batch, sizes.classes, device=device).to(dtype)
    w = (torch.randn(sizes.classes, INPUTS, device=device) * 1e-3).to(dtype)
    y, dw = torch.empty_like(dy), torch.empty_like(w)
    wide = [tensor.float() for tensor in (x, w, y, dy, dw)]
    raw = torch.randint(0, 256, x.shape, device=device).to(torch.uint8)
    mean, bias = torch.randn(INPUTS, device=device), torch.randn(sizes.classes, device=device)
    ones = torch.ones(sizes.batch, device=device)
    g, h, v = (torch.randn(sizes.classes, INPUTS, device=device) * 1e-3 for _ in range(3))
    return {
        "forward": median_ms(lambda: torch.mm(x, w.t(), out=y), device),
        "gradient": median_ms(lambda: torch.mm(dy.t(), x, out=dw), device),
        "our forward": median_ms(lambda: mm(wide[0], wide[1].t(), wide[2], bias), device),
        "our gradient": median_ms(lambda: mm(wide[3].t(), wide[0], wide[4]), device),
        "addmm": median_ms(lambda: torch.addmm(bias, wide[0], wide[1].t(), out=wide[2]), device),
        "bias by sum": median_ms(lambda: torch.sum(wide[3], 0, out=bias), device),
        "bias by product": median_ms(lambda: torch.mv(wide[3].t(), ones, out=bias), device),
        "fetch": median_ms(lambda: torch.sub(raw, mean, out=wide[0]), device),
        "fetch in two": median_ms(lambda: wide[0].copy_(raw).sub_(mean), device),
        "weights to bfloat16": median_ms(lambda: wide[1].bfloat16(), device),
        "update": median_ms(lambda: momentum_steps([(v, g, h)], 0.9, 1e-7, 100.0), device),
    }
