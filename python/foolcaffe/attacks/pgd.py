"""Projected gradient descent on a whole batch at once. Source: Madry et al. 2018."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from foolcaffe.attacks.base import Floats, within
from foolcaffe.attacks.iterated import directions


class Differentiable(Protocol):
    """A net, or a net behind a defence."""

    def probabilities(self, images: Floats) -> Floats:
        """Images × classes."""

    def data_gradients(self, images: Floats, score_diffs: Floats) -> Floats:
        """For each image the gradient of Σ score_diffs · scores on its pixels."""


def pgd(
    net: Differentiable,
    images: Floats,
    targets: npt.NDArray[np.int64],
    radii: npt.NDArray[np.float64] | float,
    norm: str,
    steps: int,
) -> Floats:
    """Move each image up log p_target within its radius, as ``attacks.iterated`` does, all images at once.

    Args:
        net: what is attacked, with its defence if the attack knows it.
        images: N × 3 × height × width, BGR, whole grey levels 0..255.
        targets: a class for each.
        radii: of the balls, in grey levels; one, or one for each.
        norm: ``l2`` or ``linf``.
        steps: gradient steps of 2.5 radius / steps.

    Returns:
        whole grey levels 0..255: for each image, of all that were tried, the one with the largest p_target. Rounding
        adds to an L2 norm at most its own, √(pixels / 12); an L∞ radius is kept.
    """
    radius = np.broadcast_to(np.asarray(radii, np.float64), (len(images),))[:, None, None, None]
    every, x = np.arange(len(images)), images.copy()
    probabilities = net.probabilities(images)
    best, most = images.copy(), probabilities[every, targets].copy()
    for _ in range(steps):
        diffs = -probabilities
        diffs[every, targets] += 1
        moved = x + 2.5 / steps * radius * directions(net.data_gradients(x, diffs), norm)
        x = np.clip(images + within(moved - images, radius, norm), 0, 255).astype(np.float32)
        whole = np.rint(x)
        if norm == "linf":  # a radius between whole levels
            whole = np.clip(whole, images - np.floor(radius), images + np.floor(radius)).astype(np.float32)
        probabilities = net.probabilities(whole)
        now = probabilities[every, targets]
        better = now > most
        best[better], most[better] = whole[better], now[better]
    return np.asarray(best, np.float32)
