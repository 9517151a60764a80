"""Is a training repeated from one seed the same to the last bit?"""

from __future__ import annotations

from typing import Any

import torch
import zoo
from google.protobuf import text_format

from caffefiles.proto import caffe_pb2
from gpucheck.linear import SHAPE, precisions
from gpucheck.made import linear_solver, made_data, quiet_solver
from gpucheck.runner import Context


def run(context: Context) -> str:
    """The linear net in each precision, and LeNet: losses of every step and the last weights of two trainings."""
    found = {f"linear, {precision}": _twice(context, "linear", precision) for precision in precisions(context)}
    found["lenet, float32"] = _twice(context, "lenet", "float32")
    context.note(trainings=found)
    if not found["linear, float32"]["equal"]:
        raise ValueError(f"the linear net in float32 is not repeated: {found['linear, float32']}")
    return "; ".join(
        f"{name}: {'equal' if each['equal'] else 'NOT equal'} after {each['steps']} steps"
        for name, each in found.items()
    )


def _twice(context: Context, what: str, precision: str) -> dict[str, Any]:
    (losses, weights), (others, other_weights) = (_train(context, what, precision) for _ in range(2))
    same = [a == b for a, b in zip(losses, others)]
    far = max(float((a - b).abs().max()) for a, b in zip(weights, other_weights))
    return {
        "equal": all(same) and far == 0,
        "steps": len(losses),
        "first_difference": None if all(same) else same.index(False),
        "weights_apart": far,
        "losses": [losses[0], losses[-1]],
    }


def _train(context: Context, what: str, precision: str) -> tuple[list[float], list[torch.Tensor]]:
    sizes = context.sizes
    context.use(precision)
    shape = SHAPE if what == "linear" else (1, 28, 28)
    classes = sizes.classes if what == "linear" else 10
    with made_data(4 * sizes.batch + 3, shape, classes, context.device):
        make = linear_solver if what == "linear" else _lenet
        solver = make(context.folder, classes, sizes.batch)
    losses = []
    for _ in range(sizes.repeats):
        solver.step(1)
        losses.append(solver.smoothed_loss)
    return losses, [blob.data.clone() for blob in solver.net.params.learnable]


def _lenet(folder: Any, classes: int, batch: int) -> Any:
    builder = zoo.Builder()
    zoo.lenet(builder)
    data = (
        'layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.00390625 } '
        f'data_param {{ source: "made" backend: LMDB batch_size: {batch} }} }}'
    )
    net = text_format.Parse(data + builder.text, caffe_pb2.NetParameter())
    param = caffe_pb2.SolverParameter(base_lr=0.01, lr_policy="fixed", momentum=0.9, weight_decay=5e-4, random_seed=1)
    return quiet_solver(param, net, folder)
