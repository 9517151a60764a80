"""The smallest step along a direction whose 8-bit image fools: a bracket, then bisection, many candidates a pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foolcaffe.attacks.base import MARGIN, Criterion, Result, judge
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import BgrPixels, Rgb8
from foolcaffe.net import Classifier

GRID = 96
"""Candidates of the first pass, geometrically spaced: neighbours differ by 13 %."""
FIRST, LAST = 0.25, 25_500.0
"""Largest change of a pixel, in grey levels, of the first and last candidate. A quarter level changes no 8-bit image;
at the last one every pixel whose gradient is at least 1 % of the largest has reached black or white."""
REFINE = 32
"""Candidates of each later pass; the bracket shrinks 33-fold."""
PASSES = 3


def along_ray(net: Classifier, start: Rgb8, direction: npt.NDArray[np.float32], criterion: Criterion) -> Result:
    """Search ``start + factor × direction`` for the smallest factor whose PNG meets the criterion.

    Whether the criterion is met need not be monotone in the factor (clipping and rounding bend the ray, and a class
    may be overtaken further on), so a bisection of the whole range could miss it: the first pass looks everywhere.

    Args:
        net: the classifier.
        start: the image to begin with, of the net's size.
        direction: channels × height × width, BGR.
        criterion: when the net counts as fooled.

    Raises:
        FoolCaffeError: the direction is zero everywhere, or not finite.
    """
    largest = float(np.abs(direction).max())
    if not np.isfinite(largest):
        raise FoolCaffeError("the data gradient is not finite", "are the weights those of a diverged training?")
    if largest == 0:
        raise FoolCaffeError(
            "the data gradient is zero everywhere: there is no direction to go in",
            "a constant net, or a saturated softmax; for a deploy net of your own see force_backward",
        )
    base = start.to_bgr().array
    before = net.queries
    trajectory: list[tuple[float, float]] = []

    def candidate(factor: float) -> BgrPixels:
        return BgrPixels((base + np.float32(factor) * direction).astype(np.float32))

    def first_met(factors: npt.NDArray[np.float64]) -> int | None:
        images = np.stack([candidate(f).to_rgb8().to_bgr().array for f in factors])
        probabilities = net.probabilities(images)
        trajectory.extend(zip(factors.tolist(), probabilities[:, criterion.target].tolist()))
        met = np.flatnonzero(criterion.met(probabilities, MARGIN))
        return int(met[0]) if met.size else None

    factors = np.concatenate([[0.0], np.geomspace(FIRST, LAST, GRID) / largest])
    found = first_met(factors)
    low = high = 0.0
    if found is not None:
        high = float(factors[found])
        low = float(factors[max(found - 1, 0)])
        for _ in range(PASSES if found else 0):
            inner = np.linspace(low, high, REFINE + 2)[1:]
            index = first_met(inner)
            if index is None:  # rounding of the factor itself: the bracket is as narrow as float32 goes
                break
            low, high = (float(inner[index - 1]) if index else low), float(inner[index])
    else:
        high = max(trajectory, key=lambda point: point[1])[0]
    raw = candidate(high)
    trajectory.sort()
    return Result(
        start=start,
        raw=raw,
        image=raw.to_rgb8(),
        success=judge(net, raw, criterion),
        factor=high,
        direction=direction,
        steps=1,
        queries=net.queries - before,
        trajectory=trajectory,
        best=max(confidence for _, confidence in trajectory),
    )
