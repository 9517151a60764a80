"""Is a training repeated from one seed the same to the last bit?"""

from __future__ import annotations

from typing import Any

import torch
import zoo

from gpucheck.linear import SHAPE, precisions
from gpucheck.made import linear_solver, made_data, zoo_solver
from gpucheck.runner import Context


def run(context: Context) -> str:
    """The linear net in each precision, LeNet, CIFAR-10 full: losses of every step and the last weights of two trainings."""
    found = {f"linear, {precision}": _twice(context, "linear", precision) for precision in precisions(context)}
    for net in ("lenet", "cifar_full"):
        found[f"{net}, float32"] = _twice(context, net, "float32")
        if context.device == "cuda":
            found[f"{net}, any kernels of cuDNN"] = _twice(context, net, "float32", seeded=False)
    context.note(trainings=found)
    for name in ("linear, float32", "lenet, float32", "cifar_full, float32"):
        if not found[name]["equal"]:
            raise ValueError(f"{name}: not repeated: {found[name]}")
    return "; ".join(
        f"{name}: {'equal' if each['equal'] else 'NOT equal'} after {each['steps']} steps"
        for name, each in found.items()
    )


def _twice(context: Context, what: str, precision: str, seeded: bool = True) -> dict[str, Any]:
    (losses, weights), (others, other_weights) = (_train(context, what, precision, seeded) for _ in range(2))
    same = [a == b for a, b in zip(losses, others)]
    far = max(float((a - b).abs().max()) for a, b in zip(weights, other_weights))
    return {
        "equal": all(same) and far == 0,
        "steps": len(losses),
        "first_difference": None if all(same) else same.index(False),
        "weights_apart": far,
        "losses": [losses[0], losses[-1]],
    }


def _train(context: Context, what: str, precision: str, seeded: bool) -> tuple[list[float], list[torch.Tensor]]:
    sizes = context.sizes
    context.use(precision)
    _, shape, classes = ((), SHAPE, sizes.classes) if what == "linear" else zoo.NETS[what]
    with made_data(4 * sizes.batch + 3, shape, classes, context.device):
        if what == "linear":
            solver = linear_solver(context.folder, classes, sizes.batch)
        else:
            solver = zoo_solver(context.folder, what, sizes.batch)
    torch.backends.cudnn.deterministic = seeded  # True, as the solver's random_seed has left it
    losses = []
    for _ in range(sizes.repeats):
        solver.step(1)
        losses.append(solver.smoothed_loss)
    return losses, [blob.data.clone() for blob in solver.net.params.learnable]
