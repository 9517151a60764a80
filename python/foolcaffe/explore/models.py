"""What the page states about a trained model: where it is, how well it does, how it was trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffefiles.files import sha256
from foolcaffe.attacks.linear import linear_net
from foolcaffe.classifier import Classifier
from foolcaffe.evaluate import evaluate
from foolcaffe.initial import training
from foolcaffe.trained import TrainedModel


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
        **training(model.folder, net),
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
