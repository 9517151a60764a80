"""The best multipliers of a :class:`Problem`: projected Newton steps in K ≪ D dimensions.

Whole grey levels make g piecewise linear; there it is smoothed by ramps of half-width h around the half-integers, and h
is lowered (h = ½ is no rounding at all). The bound is always taken from the unsmoothed g, so it holds whatever λ is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from foolcaffe.attacks.newton import Matrix, Seen, Vector, newton, nonnegative
from foolcaffe.attacks.problem import FEW, SMOOTH, Problem, outside, pixels, support

TOLERANCE = 1e-10
"""Largest gradient of g, relative to the scores to be overcome, that counts as zero."""


def unboxed(problem: Problem) -> Vector:
    """The dual's solution without the box, for a start: K dimensions, on the Gram matrix alone."""
    g = _between(problem.net.gram, problem)
    b = problem.deficit
    if problem.ratio >= len(b):
        return nonnegative(g, b)
    if problem.ratio > 1:
        lam = nonnegative(g, b)
        if outside(b - g @ lam, problem.ratio) <= TOLERANCE * problem.scale():
            return lam
    # All rivals below the level that they have if a handful share what the target leaves; then Newton as below.
    shifted = b + max(0.0, float(np.log(3 / problem.ratio)))
    lam = nonnegative(g, shifted)
    shares = np.exp(np.minimum(b - g @ lam - outside(b - g @ lam, 1.0), 0.0))
    lam = np.maximum(lam, np.maximum(lam.sum(), 1e-9) * np.maximum(shares, 1e-12) / len(b))

    def look(x: Vector) -> Seen:
        _, z, curve = support(x, problem.ratio)
        return Seen(b - g @ x - z, lambda: g, curve)

    return newton(look, lam, g, TOLERANCE * problem.scale(), lambda x: False)[0]


def maximise(
    problem: Problem, lam: Vector, h: float = SMOOTH, tolerance: float = TOLERANCE, rounds: int = 30
) -> Vector:
    """Raise g from λ until no rival outside the active set is ahead: Newton on the active ones, then look at all.

    Returns the last λ, whatever happened: a bound taken from it is rigorous. If there is no solution, λ grows until it
    proves that (:meth:`Problem.impossible`).
    """
    if problem.ratio < len(lam):
        return _with_ratio(problem, lam, h, tolerance)
    tolerance *= problem.scale()
    done = False
    for _ in range(rounds):
        ahead = problem.ahead(pixels(problem.pull(lam), problem.low, problem.high, h)[0])
        late = np.flatnonzero((ahead > tolerance) & (lam == 0))
        late = late[np.argsort(-ahead[late])[: FEW // 2]]
        active = np.union1d(np.flatnonzero(lam > 0), late)
        if (done and not len(late)) or not len(active):
            break
        before = lam
        lam, done = _on(problem, lam, active, h, tolerance)
        if not done and (problem.impossible(lam) or np.array_equal(lam, before)):
            break
    return lam


def reach(problem: Problem, lam: Vector) -> tuple[Vector, bool]:
    """The change that λ pulls to, and whether it leads into C.

    If it misses C, since Newton got stuck, a little more is asked for: not the smallest change then, but one that is.
    """
    delta, asked = problem.pulled(lam), 1e-7 * problem.scale()
    while not problem.holds(delta) and asked <= problem.scale():
        lam = maximise(problem.tighter(asked), lam)
        if problem.impossible(lam):
            break
        delta, asked = problem.pulled(lam), 4 * asked
    return delta, problem.holds(delta)


def _with_ratio(problem: Problem, lam: Vector, h: float, tolerance: float) -> Vector:
    """Maximise as :func:`maximise` does, where Σ exp z ≤ ratio counts.

    For p < ½ the best class may be as sure as that already: then the ratio plays no part, and most λ are zero. Else
    every rival has its share, however small, and steps are in log λ, which never is zero. The way that led to this λ is
    tried first.
    """
    gradient = tolerance * problem.scale()

    def only_best() -> tuple[Vector, bool]:
        few = maximise(replace(problem, ratio=np.inf), np.where(lam > 1e-9 * lam.max(), lam, 0.0), h, tolerance)
        ahead = problem.ahead(pixels(problem.pull(few), problem.low, problem.high, h)[0])
        left = max(outside(ahead, problem.ratio), float(np.abs(ahead[few > 0]).max(initial=0.0)))
        return few, left <= gradient or problem.impossible(few)

    def shares() -> tuple[Vector, bool]:
        every = np.maximum(lam, 1e-15 * max(lam.sum(), 1e-12))
        return _on(problem, every, np.arange(len(lam)), h, gradient)

    if problem.ratio <= 1:
        return shares()[0]
    ways = [only_best, shares] if not lam.all() else [shares, only_best]
    first, done = ways[0]()
    if done:
        return first
    second, done = ways[1]()
    return second if done or problem.bound(second, False) > problem.bound(first, False) else first


def _on(problem: Problem, lam: Vector, active: npt.NDArray[np.intp], h: float, tolerance: float) -> tuple[Vector, bool]:
    """Maximise over the active λ; the others stay zero."""
    net = problem.net
    few = len(active) <= FEW
    rows = net.rows[problem.target] - net.rows[problem.rivals[active]] if few else net.rows[:0]

    def whole(x: Vector) -> Vector:
        full = np.zeros(len(lam))
        full[active] = x
        return full

    def look(x: Vector) -> Seen:
        delta, slope = pixels(x @ rows if few else problem.pull(whole(x)), problem.low, problem.high, h)
        ahead = problem.deficit[active] - rows @ delta if few else problem.ahead(delta)[active]
        _, z, curve = support(x, problem.ratio)
        if few:
            return Seen(ahead - z, lambda: (rows * slope) @ rows.T, curve)
        return Seen(ahead - z, lambda: _gram(problem, slope)[np.ix_(active, active)], curve)

    def hopeless(x: Vector) -> bool:
        return problem.impossible(whole(x))

    x, done = newton(look, lam[active], _between(net.gram, problem)[np.ix_(active, active)], tolerance, hopeless)
    return whole(x), done


def _gram(problem: Problem, slope: Vector) -> Matrix:
    """A diag(slope) Aᵀ over all rivals: from the Gram matrix less the pixels at the box, or from the few that move."""
    net = problem.net
    height = float(slope.max(initial=0.0))
    moving = slope > 0
    if height == 1.0 and 2 * int(moving.sum()) > len(slope):
        held = net.rows32[:, ~moving]
        return _between(net.gram - held @ held.T, problem)
    part = net.rows32[:, moving]
    return _between(height * (part @ part.T).astype(np.float64), problem)


def _between(gram: Matrix, problem: Problem) -> Matrix:
    """From products of rows to products of differences w_t − w_j."""
    t, r = problem.target, problem.rivals
    return np.asarray(gram[np.ix_(r, r)] - gram[t, r][:, None] - gram[t, r][None, :] + gram[t, t])
