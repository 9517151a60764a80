"""The smallest step along a direction whose 8-bit image fools: a bracket, then bisection, many candidates a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from foolcaffe.attacks.base import MARGIN, Floats, Result
from foolcaffe.attacks.search import Search

GRID = 96
"""Candidates of the first pass, geometrically spaced: neighbours differ by 13 %."""
FIRST, LAST = 0.25, 25_500.0
"""Largest change of a pixel, in grey levels, of the first and last candidate. A quarter level changes no 8-bit image;
at the last one every pixel whose gradient is at least 1 % of the largest has reached black or white."""
REFINE = 32
"""Candidates of each later pass; the bracket shrinks 33-fold."""
PASSES = 3


def along_ray(search: Search, direction_of: Callable[[], Floats]) -> Result:
    """Search ``start + factor × direction`` for the smallest factor whose PNG meets the criterion.

    Args:
        search: begun, with what may be used.
        direction_of: gives the direction, 3 × height × width, BGR, and says what that costs to the search's budget.

    Raises:
        FoolCaffeError: the direction is zero everywhere, or not finite.
    """
    factor, trajectory, direction = 0.0, search.trajectory, None
    with search:
        direction = direction_of()
        search.steps = 1
        factor, trajectory = walk(search, direction)
    return replace(search.result(), factor=factor, direction=direction, trajectory=trajectory)


def walk(search: Search, direction: Floats) -> tuple[float, list[tuple[float, float]]]:
    """The smallest factor found (that nearest to success, if none), and all (factor, confidence) looked at.

    Whether the criterion is met need not be monotone in the factor (clipping and rounding bend the ray, and a class
    may be overtaken further on), so a bisection of the whole range could miss it: the first pass looks everywhere.

    Raises:
        FoolCaffeError: the direction is zero everywhere, or not finite.
        Spent: the budget does not allow it.
    """
    search.check_gradient(direction)
    largest = float(np.abs(direction).max())
    trajectory: list[tuple[float, float]] = []

    def first_met(factors: npt.NDArray[np.float64]) -> int | None:
        steps = factors.astype(np.float32)[:, None, None, None] * direction
        probabilities = search.look(search.base + steps)
        trajectory.extend(zip(factors.tolist(), search.criterion.confidences(probabilities).tolist()))
        met = np.flatnonzero(search.criterion.met(probabilities, MARGIN))
        return int(met[0]) if met.size else None

    factors = np.concatenate([[0.0], np.geomspace(FIRST, LAST, GRID) / largest])
    found = first_met(factors)
    if found is None:
        return max(trajectory, key=lambda point: point[1])[0], sorted(trajectory)
    low, high = float(factors[max(found - 1, 0)]), float(factors[found])
    for _ in range(PASSES if found else 0):
        inner = np.linspace(low, high, REFINE + 2)[1:]
        index = first_met(inner)
        if index is None:  # rounding of the factor itself: the bracket is as narrow as float32 goes
            break
        low, high = (float(inner[index - 1]) if index else low), float(inner[index])
    return high, sorted(trajectory)


def shorten(search: Search) -> None:
    """Look for a nearer success on the way from the start to the nearest one found so far, by two grids.

    Raises:
        Spent: the budget does not allow it.
    """
    if search.nearest_raw is None:
        return
    low, high = 0.0, 1.0
    delta = search.nearest_raw - search.base
    for _ in range(2):
        factors = np.linspace(low, high, 18)[1:-1]
        probabilities = search.look(search.base + factors.astype(np.float32)[:, None, None, None] * delta)
        met = np.flatnonzero(search.criterion.met(probabilities, MARGIN))
        first = int(met[0]) if met.size else len(factors)
        low, high = (
            (float(factors[first - 1]) if first else low),
            (float(factors[first]) if first < len(factors) else high),
        )
