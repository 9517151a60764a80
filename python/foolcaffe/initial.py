"""How a model was trained, and how much of its templates is still the random numbers that training began with.

Momentum SGD with L2 decay forgets initial values at the rate lr·λ / (1 − μ) an iteration: after T iterations a factor
of exp(−T·lr·λ / (1 − μ)) of them is left. On a small dataset that is most of them, and a template looks like noise that
no picture has taught it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_text
from foolcaffe.classifier import Classifier

FROM_ZERO = 1e-8
"""A gaussian filler with a smaller std than this leaves nothing of the initial values to be seen."""


def training(folder: Path, net: Classifier) -> dict[str, Any]:
    """Return what the prototxts of a linear model's folder say of its training; empty where there are none.

    Returns:
        ``decay``, ``iterations``, ``seed``; and for a gaussian init ``std``, ``from_zero``, and ``initial_share``: for
        each class, the part 0..1 of the template's energy ‖w‖² that is what is left of the initial values.
    """
    files = folder / "solver.prototxt", folder / "train_val.prototxt"
    if not net.linear or not all(file.exists() for file in files):
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
        rows = net.score_weights().reshape(net.classes, -1).astype(np.float64)
        std = float(f"{fillers[0].std:.6g}")  # a float32 in the file
        left = math.exp(-solver.max_iter * solver.base_lr * solver.weight_decay / (1 - solver.momentum))
        share = np.minimum(1.0, rows.shape[1] * (std * left) ** 2 / np.maximum((rows**2).sum(axis=1), 1e-300))
        facts.update(std=std, from_zero=std < FROM_ZERO, initial_share=share.tolist())
    return facts


def initial_share(folder: Path, net: Classifier) -> float | None:
    """Return the median over the classes of ``initial_share``, or None where it is not known."""
    share = training(folder, net).get("initial_share")
    return None if share is None else float(np.median(share))


def sentence(share: float) -> str:
    """Say what a share means, and what to do about a large one."""
    text = f"{100 * share:.0f} % of a template's energy (median) is left of the random weights that training began with"
    return text if share <= 0.05 else f"{text}; STD=1e-9 of make begins next to zero"
