"""Maximising a concave function of few variables λ ≥ 0: projected Newton steps, and an active set for quadratics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

LONGEST = 100.0
"""A Newton step is at most so many times as long as λ: a longer one comes of a Hessian that is nearly singular."""


def nonnegative(g: Matrix, b: Vector) -> Vector:
    """The λ ≥ 0 that maximises bᵀλ − ½λᵀGλ.

    Rivals enter one at a time, the one that is ahead most; a λ that would turn negative leaves (Lawson and Hanson 1974,
    chapter 23).
    """
    lam = np.zeros(len(b))
    inside = np.zeros(len(b), dtype=bool)
    scale = max(float(np.abs(b).max(initial=0.0)), 1e-12)
    for _ in range(3 * len(b)):
        ahead = np.where(inside, -np.inf, b - g @ lam)
        enter = int(ahead.argmax())
        if ahead[enter] <= 1e-9 * scale:
            break
        inside[enter] = True
        while True:
            index = np.flatnonzero(inside)
            part = g[np.ix_(index, index)]
            try:
                wanted = np.linalg.solve(part + 1e-12 * part.max() * np.eye(len(index)), b[index])
            except np.linalg.LinAlgError:
                return lam
            if wanted.min() > 0:
                lam[:] = 0
                lam[index] = wanted
                break
            falling = wanted <= 0
            now = lam[index]
            step = float((now[falling] / np.maximum(now[falling] - wanted[falling], 1e-300)).min())
            lam[index] = np.maximum(now + step * (wanted - now), 0)
            gone = index[falling & (lam[index] <= 1e-14 * max(lam.max(), 1e-300))]
            if not len(gone):
                return lam
            lam[gone] = 0
            inside[gone] = False
    return lam


@dataclass(frozen=True)
class Seen:
    """At one λ: the gradient of g, minus its Hessian in δ (computed if asked), and that of σ_C (None for zero)."""

    gradient: Vector
    hessian: Callable[[], Matrix]
    curve: Matrix | None


def newton(
    look: Callable[[Vector], Seen], x: Vector, gram: Matrix, tolerance: float, hopeless: Callable[[Vector], bool]
) -> tuple[Vector, bool]:
    """Projected Newton (Bertsekas 1982); the last λ, and whether the gradient vanished.

    Args:
        look: gradient and Hessian at a λ.
        x: where to begin.
        gram: the Hessian if every pixel moved; the usual size of a Hessian.
        tolerance: of the gradient.
        hopeless: asked once it takes long; true ends the search.
    """
    diagonal = np.maximum(np.diag(gram), 1e-300)
    seen = look(x)
    for iteration in range(60):
        free = (x > 0) | (seen.gradient > 0)
        if float(np.abs(seen.gradient[free]).max(initial=0.0)) <= tolerance:
            return x, True
        hessian = seen.hessian() + (0.0 if seen.curve is None else seen.curve)
        direction = np.zeros(len(x))
        index = np.flatnonzero(free)
        direction[index] = _solve(
            hessian[np.ix_(index, index)],
            gram[np.ix_(index, index)],
            seen.gradient[index],
            LONGEST * max(float(x.max()), float((np.abs(seen.gradient) / diagonal).max())),
        )
        step = 1.0
        for _ in range(30):
            new = np.maximum(x + step * direction, 0)
            if seen.curve is not None:
                # log λ: a Newton step in log λ while the share is small, in λ once the quadratic part rules
                factor = x * np.exp(np.clip(step * direction / np.maximum(x, 1e-250), -30.0, 30.0))
                new = np.where(direction < 0, factor, np.maximum(new, np.minimum(factor, 0.3 / diagonal)))
            change = new - x
            rise = float(seen.gradient @ change)
            there = look(new)
            if rise > 0 and float(there.gradient @ change) >= -0.5 * rise:
                break
            step *= 0.4
        else:
            return x, False
        x, seen = new, there
        if iteration >= 6 and hopeless(x):
            return x, False
    return x, False


def _solve(hessian: Matrix, gram: Matrix, right: Vector, longest: float) -> Vector:
    """Newton's direction. Where too few pixels move for a Hessian, a part of what all would give is added."""
    eye = np.eye(len(gram)) * float(np.trace(gram)) / len(gram)
    for part, ridge in ((0.0, 1e-14), (1e-6, 1e-12), (1e-4, 1e-10), (1e-2, 1e-8), (0.3, 1e-6)):
        try:
            factor = cho_factor(hessian + part * gram + ridge * eye, check_finite=False)
        except LinAlgError:
            continue
        out = np.asarray(cho_solve(factor, right, check_finite=False))
        if float(out @ right) > 0 and float(np.abs(out).max()) <= longest:
            return out
    return np.asarray(right / np.maximum(np.diag(gram), 1e-300))
