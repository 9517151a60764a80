"""One data gradient, followed as far as it takes: the post's method, and the fast gradient sign method."""

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
        eps, norm: largest norm of the change, in grey levels.
        the others: :data:`~foolcaffe.attacks.base.Attack` describes them.
    """
    search = Search(net, start, criterion, eps=eps, norm=norm, bounds=bounds, budget=budget)
    diff = np.zeros((1, net.classes), np.float32)
    diff[0, criterion.sought] = 1 if criterion.target is not None else -1

    def direction() -> Floats:
        search.spend(1)
        return np.asarray(net.data_gradients(search.base[None], diff)[0])

    return along_ray(search, direction)


def sign(
    net: Gradients,
    start: Rgb8,
    criterion: Criterion,
    *,
    eps: float | None = None,
    norm: str = "linf",
    bounds: tuple[float, float] = BOUNDS,
    budget: Budget | None = None,
    seed: int = 0,
) -> Result:
    """``start + factor × sign(∇ₓ log p_target)``: every pixel moves by the same few grey levels.

    Goodfellow, Shlens and Szegedy 2015, section 4: untargeted, the loss of the true class goes up, as there; targeted,
    that of the wanted class goes down. The loss is the cross entropy, whose gradient on the scores is p − onehot.

    Differs from the paper in: the factor is the smallest whose PNG fools, within ``eps`` if there is one.

    Args:
        eps, norm: largest norm of the change, in grey levels.
        the others: :data:`~foolcaffe.attacks.base.Attack` describes them.
    """
    search = Search(net, start, criterion, eps=eps, norm=norm, bounds=bounds, budget=budget)

    def direction() -> Floats:
        search.spend(2)
        diffs = criterion.entropy_diffs(net.probabilities(search.base[None]))
        return np.asarray(np.sign(net.data_gradients(search.base[None], diffs)[0]))

    return along_ray(search, direction)
