"""One data gradient, followed as far as it takes: the post's method, and the fast gradient sign method."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import Floats, Result
from foolcaffe.attacks.ray import along_ray
from foolcaffe.attacks.search import Search, attack


@attack("l2", "linf")
def gradient(search: Search) -> Result:
    """``start + factor × ∇ₓ s_target`` with the smallest factor whose PNG fools; untargeted, ``− factor × ∇ₓ s_label``.

    For a linear net the gradient is the target's weight row ("add some fraction of those weights to the image",
    Karpathy 2015, "Fooling a Linear Classifier on ImageNet"). It comes from Caffe's backward pass all the same.
    """
    diff = np.zeros((1, search.net.classes), np.float32)
    diff[0, search.criterion.sought] = 1 if search.criterion.target is not None else -1

    def direction() -> Floats:
        search.spend(1)
        return np.asarray(search.gradients.data_gradients(search.base[None], diff)[0])

    return along_ray(search, direction)


@attack("linf", "l2")
def sign(search: Search) -> Result:
    """``start + factor × sign(∇ₓ log p_target)``: every pixel moves by the same few grey levels.

    Goodfellow, Shlens and Szegedy 2015, section 4: untargeted, the loss of the true class goes up, as there; targeted,
    that of the wanted class goes down. The loss is the cross entropy, whose gradient on the scores is p − onehot.

    Differs from the paper in: the factor is the smallest whose PNG fools, within ``eps`` if there is one.
    """

    def direction() -> Floats:
        search.spend(2)
        diffs = search.criterion.entropy_diffs(search.net.probabilities(search.base[None]))
        return np.asarray(np.sign(search.gradients.data_gradients(search.base[None], diffs)[0]))

    return along_ray(search, direction)
