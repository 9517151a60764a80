"""Radii for searches that need a ball: the eps that was given, else larger ones until the image fools."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foolcaffe.attacks.search import Search

LEVELS = (2.0, 5.0, 12.0, 30.0, 80.0, 255.0)
"""Grey levels each pixel may change, one after the other; for L2 the same, times the square root of the pixels."""
SOFT = 1e-3
"""Added to probabilities before their logarithm where a classifier votes and can say 0."""


def radii(search: Search) -> Iterator[float]:
    """``eps``, or growing radii that end with the first success."""
    if search.eps is not None:
        yield search.eps
        return
    for level in LEVELS:
        if search.found is not None:
            return
        yield level if search.norm == "linf" else level * float(np.sqrt(search.base.size)) / 2


def gains(search: Search, probabilities: np.ndarray) -> np.ndarray:
    """What a black-box search raises, for each row: how far the criterion is met, in soft log odds."""
    soft = (probabilities.astype(np.float64) + SOFT) / (1 + SOFT * probabilities.shape[1])
    return search.criterion.margins(soft)  # type: ignore[arg-type]
