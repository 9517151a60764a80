"""What the page states about a trained model: where it is, how well it does, how it was trained."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caffefiles.files import sha256
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_text
from foolcaffe.attacks.linear import linear_net
from foolcaffe.classifier import Classifier
from foolcaffe.evaluate import evaluate
from foolcaffe.trained import TrainedModel

FROM_ZERO = 1e-8
"""A gaussian filler with a smaller std than this leaves nothing of the initial values to be seen."""


def describe(model: TrainedModel, net: Classifier, quiet: bool = False) -> dict[str, Any]:
    """A JSON object about a linear model, without its weights.

    ``initial_share`` holds, for each class, how much of the template's energy ‖w‖² is what is left of its initial
    values, or None where the model's folder does not say how it was trained.

    Raises:
        FoolCaffeError: the net is not linear, or a record of the validation LMDB does not fit it.
    """
    linear = linear_net(net)
    norms = np.linalg.norm(linear.rows, axis=1)
    facts: dict[str, Any] = {
        "name": model.folder.name,
        "model": f"{model.dataset.name}/{model.folder.name}",
        "sha256": {"weights": sha256(model.weights), "deploy": sha256(model.deploy)},
        "rounding": linear.rounding,
        "norms": norms.tolist(),
        **_training(model.folder, norms, linear.rows.shape[1]),
    }
    if model.mean:
        facts["sha256"]["mean"] = sha256(model.mean)
    validation = model.dataset / "val_lmdb"
    if validation.exists():
        result = evaluate(net, validation, quiet)
        facts["accuracy"] = {
            "images": result.images,
            "top1": result.top1 / result.images,
            "top5": result.top5 / result.images,
        }
    return facts


def _training(folder: Path, norms: npt.NDArray[np.float64], pixels: int) -> dict[str, Any]:
    """Weight decay, iterations, std of the initial values, and the share of them that is left."""
    files = folder / "solver.prototxt", folder / "train_val.prototxt"
    if not all(file.exists() for file in files):
        return {}
    solver = read_text(files[0], caffe_pb2.SolverParameter(), "SolverParameter")
    layers = read_text(files[1], caffe_pb2.NetParameter(), "NetParameter").layer
    fillers = [layer.inner_product_param.weight_filler for layer in layers if layer.type == "InnerProduct"]
    facts: dict[str, Any] = {
        "decay": float(f"{solver.weight_decay:.6g}"),
        "iterations": solver.max_iter,
        "seed": solver.random_seed,
    }
    if len(fillers) == 1 and fillers[0].type == "gaussian":
        std = float(f"{fillers[0].std:.6g}")  # a float32 in the file
        # Momentum SGD forgets initial values at the rate lr·decay/(1 − momentum) an iteration.
        left = math.exp(-solver.max_iter * solver.base_lr * solver.weight_decay / (1 - solver.momentum))
        share = np.minimum(1.0, pixels * (std * left) ** 2 / np.maximum(norms, 1e-300) ** 2)
        facts.update(std=std, from_zero=std < FROM_ZERO, initial_share=share.tolist())
    return facts
