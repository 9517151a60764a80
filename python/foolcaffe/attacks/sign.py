"""The fast gradient sign method, towards a class or away from one."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import Budget, Criterion, Floats, Gradients, Result
from foolcaffe.attacks.ray import along_ray
from foolcaffe.attacks.search import BOUNDS, Search
from foolcaffe.images import Rgb8


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
        net: the classifier.
        start: of the net's size.
        criterion: target class, and confidence if any; or label.
        eps, norm: largest norm of the change, in grey levels.
        bounds: grey levels that may be used.
        budget: when to end in any case.
        seed: not used: nothing is drawn.
    """
    search = Search(net, start, criterion, eps=eps, norm=norm, bounds=bounds, budget=budget)

    def direction() -> Floats:
        search.spend(2)
        diffs = criterion.entropy_diffs(net.probabilities(search.base[None]))
        return np.asarray(np.sign(net.data_gradients(search.base[None], diffs)[0]))

    return along_ray(search, direction)
