"""The fast gradient sign method, towards a class."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import Criterion, Result
from foolcaffe.attacks.ray import along_ray
from foolcaffe.images import Rgb8
from foolcaffe.net import Classifier


def sign(net: Classifier, start: Rgb8, criterion: Criterion, *, seed: int = 0) -> Result:
    """``start + factor × sign(∇ₓ log p_target)``: every pixel moves by the same few grey levels.

    Goodfellow, Shlens and Szegedy 2015, section 4, with the loss of the wanted class going down instead of the loss of
    the true class going up. ∇ of log p_target on the scores is onehot(target) − p.

    Args:
        net: the classifier.
        start: of the net's size.
        criterion: target class, and confidence if any.
        seed: not used: nothing is drawn.
    """
    pixels = start.to_bgr()
    diff = -net.probabilities(pixels)[0]
    diff[criterion.target] += 1
    return along_ray(net, start, np.sign(net.data_gradient(pixels, diff)), criterion)
