"""Radii for searches that need a ball: the eps that was given, else smaller and smaller ones while the image fools."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foolcaffe.attacks.search import Search

FIRST = 32.0
"""Grey levels each pixel may change in the first ball; for L2 half as much, times the square root of the pixels."""
LARGER = 2.0
SMALLER = 0.6
SOFT = 1e-3
"""Added to probabilities before their logarithm where a classifier votes and can say 0."""


def radii(search: Search) -> Iterator[float]:
    """``eps``; or a first radius, larger ones until the image fools, then smaller ones until it does not.

    A large ball is searched first since it is searched soon: what a budget buys is spent on making the change smaller.
    """
    if search.eps is not None:
        yield search.eps
        return
    unit = 1.0 if search.norm == "linf" else float(np.sqrt(search.base.size)) / 2
    radius = FIRST * unit
    while True:
        yield radius
        if search.found is not None:
            break
        if radius >= 255 * unit:
            return
        radius = min(LARGER * radius, 255 * unit)
    while search.found > 1.0:
        radius = SMALLER * min(radius, search.found)
        yield radius
        if search.found > radius * (1 + 1e-6):
            return


def gains(search: Search, probabilities: np.ndarray) -> np.ndarray:
    """What a black-box search raises, for each row: how far the criterion is met, in soft log odds."""
    soft = (probabilities.astype(np.float64) + SOFT) / (1 + SOFT * probabilities.shape[1])
    return search.criterion.margins(soft)
