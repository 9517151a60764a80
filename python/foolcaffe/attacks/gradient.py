"""The post's method: add a fraction of the data gradient of the wanted class's score."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import Budget, Criterion, Floats, Gradients, Result
from foolcaffe.attacks.ray import along_ray
from foolcaffe.attacks.search import BOUNDS, Search
from foolcaffe.images import Rgb8


def gradient(
    net: Gradients,
    start: Rgb8,
    criterion: Criterion,
    *,
    eps: float | None = None,
    norm: str = "l2",
    bounds: tuple[float, float] = BOUNDS,
    budget: Budget | None = None,
    seed: int = 0,
) -> Result:
    """``start + factor × ∇ₓ s_target`` with the smallest factor whose PNG fools; untargeted, ``− factor × ∇ₓ s_label``.

    For a linear net the gradient is the target's weight row ("add some fraction of those weights to the image",
    Karpathy 2015, "Fooling a Linear Classifier on ImageNet"). It comes from Caffe's backward pass all the same.

    Args:
        net: the classifier.
        start: of the net's size.
        criterion: target class, and confidence if any; or label.
        eps, norm: largest norm of the change, in grey levels.
        bounds: grey levels that may be used.
        budget: when to end in any case.
        seed: not used: nothing is drawn.
    """
    search = Search(net, start, criterion, eps=eps, norm=norm, bounds=bounds, budget=budget)
    diff = np.zeros((1, net.classes), np.float32)
    diff[0, criterion.sought] = 1 if criterion.target is not None else -1

    def direction() -> Floats:
        search.spend(1)
        return np.asarray(net.data_gradients(search.base[None], diff)[0])

    return along_ray(search, direction)
