"""Trainings whose steps are recorded as a CUDA graph beside the same trainings step by step: equal, and how fast."""

from __future__ import annotations

import statistics
from typing import Any

import torch
import zoo

from gpucheck.clock import step_ms
from gpucheck.linear import SHAPE, precisions
from gpucheck.made import linear_solver, made_data, zoo_solver
from gpucheck.runner import Context
from torchcaffe import captured


def run(context: Context) -> str:
    """The linear net in each precision, some nets of the zoo in float32."""
    sizes = context.sizes
    todo = [(f"linear, {precision}", precision, "", sizes.batch) for precision in precisions(context)]
    todo += [(name, "float32", name, batch) for name, batch in sizes.trained]
    found: dict[str, Any] = {}
    for title, precision, name, batch in todo:
        context.use(precision)
        recorded = _train(context, name, batch, True)
        alone = _train(context, name, batch, False)
        equal = _equal(recorded, alone)
        found[title] = {
            "batch": batch,
            "steps": len(recorded["losses"]),
            "replayed": recorded["used"],
            "equal": equal,
            "equal_alone": equal or _equal(alone, _train(context, name, batch, False)),
            "weights_apart": max(float((a - b).abs().max()) for a, b in zip(recorded["weights"], alone["weights"])),
            "losses": [recorded["losses"][0], recorded["losses"][-1]],
            "ms": recorded["ms"],
            "host_ms": recorded["host_ms"],
            "eager_ms": alone["ms"],
            "peak_gb": recorded["peak_gb"],
            "eager_peak_gb": alone["peak_gb"],
        }
        if name and context.device == "cuda":
            found[title]["any_kernels_ms"] = _train(context, name, batch, True, seeded=False)["ms"]
        context.note(trainings=found)
    # where the layers do not repeat themselves a recording cannot repeat them
    wrong = [title for title, each in found.items() if each["equal_alone"] and not each["equal"]]
    if wrong:
        raise ValueError(f"recorded steps differ from the layers' own: {', '.join(wrong)}")
    unused = [title for title, each in found.items() if context.device == "cuda" and not each["replayed"]]
    if unused:
        raise ValueError(f"nothing was recorded of: {', '.join(unused)}")
    return "; ".join(
        f"{title} {'equal to the bit' if each['equal'] else 'does not repeat'}, {each['ms']:.3f} ms a step recorded, {each['eager_ms']:.3f} not"
        for title, each in found.items()
    )


def _equal(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Are all losses and the last weights the same bits?"""
    pairs = zip([torch.tensor(ours["losses"]), *ours["weights"]], [torch.tensor(theirs["losses"]), *theirs["weights"]])
    return all(torch.equal(a.view(torch.int32), b.view(torch.int32)) for a, b in pairs)


def _train(context: Context, name: str, batch: int, recorded: bool, seeded: bool = True) -> dict[str, Any]:
    sizes, device = context.sizes, context.device
    _, shape, classes = zoo.NETS[name] if name else ((), SHAPE, sizes.classes)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    captured.set_enabled(recorded)
    with made_data(3 * batch + 1, shape, classes, device):
        make: Any = zoo_solver if name else linear_solver
        solver = make(context.folder, name or classes, batch)
    torch.backends.cudnn.deterministic = seeded
    losses = []
    for _ in range(min(50, sizes.repeats)):
        solver.step(1)
        losses.append(solver.smoothed_loss)
    weights = [blob.data.clone() for layer in solver.net.layers for blob in layer.blobs]
    count = min(20 if name else 200, sizes.steps)
    times = [step_ms(solver.step, count, device) for _ in range(3)]
    captured.set_enabled(True)
    return {
        "losses": losses,
        "weights": weights,
        "used": solver.captured.used,
        "ms": statistics.median(ms for ms, _ in times),
        "host_ms": statistics.median(host for _, host in times),
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else 0.0,
    }
