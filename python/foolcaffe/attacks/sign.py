"""The fast gradient sign method, towards a class or away from one."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import Budget, Criterion, Gradients, Result
from foolcaffe.attacks.ray import along_ray
from foolcaffe.attacks.search import BOUNDS
from foolcaffe.images import Rgb8


def sign(net: Gradients, start: Rgb8, criterion: Criterion, *, eps: float | None = None, norm: str = "linf",
         bounds: tuple[float, float] = BOUNDS, budget: Budget | None = None, seed: int = 0) -> Result:
    """``start + factor × sign(∇ₓ log p_target)``: every pixel moves by the same few grey levels.

    Goodfellow, Shlens and Szegedy 2015, section 4: untargeted, the loss of the true class goes up, as there; targeted,
    that of the wanted class goes down. ∇ of log p_target on the scores is onehot(target) − p.

    Args:
        net: the classifier.
        start: of the net's size.
        criterion: target class, and confidence if any; or label.
        eps, norm: largest norm of the change, in grey levels.
        bounds: grey levels that may be used.
        budget: when to end in any case.
        seed: not used: nothing is drawn.
    """
    criterion.check(net.classes)
    pixels = start.to_bgr()
    diffs = criterion.score_diffs(net.probabilities(pixels))
    direction = np.sign(net.data_gradients(pixels, diffs)[0])
    return along_ray(net, start, direction, criterion, eps=eps, norm=norm, bounds=bounds, budget=budget)
