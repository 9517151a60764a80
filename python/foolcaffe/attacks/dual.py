"""The Lagrangian dual behind the exact attack: smallest change of a linear net's input that moves its scores.

The primal, over a change δ of D pixels in a box, K − 1 rival classes, target t::

    minimise ½‖δ‖²   so that   z = b − Aδ ∈ C,   low ≤ δ ≤ high,   (δ whole grey levels)
    A_j = w_t − w_j,   b_j = s_j − s_t (+ a margin),   C = {z ≤ 0, Σ exp z_j ≤ ratio}

z_j is by how much rival j is ahead. With ``ratio`` = ∞ C says "t is the best class"; with (1 − p)/p it says "and its
softmax is at least p" as well. The dual separates by pixel (Shapley and Folkman's reason that it is nearly tight even
for whole numbers: D pixels, few active constraints)::

    g(λ) = λᵀb − σ_C(λ) + Σ_i min_{δ_i} (½δ_i² − a_i δ_i),   a = Aᵀλ,   σ_C(λ) = max_{z ∈ C} λᵀz,   λ ≥ 0

Every λ gives a rigorous lower bound; :func:`maximise` finds the best by projected Newton steps in K ≪ D dimensions.
Whole numbers make g piecewise linear; there it is smoothed by ramps of half-width h around the half-integers, and h is
lowered (h = ½ is no rounding at all). The bound is always taken from the unsmoothed g.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from foolcaffe.attacks.linear import LinearNet

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

SMOOTH = 0.5
"""The h of a change that need not be whole."""
FEW = 64
"""Up to so many active classes their rows are copied out; more use all rows and the Gram matrix."""
LONGEST = 100.0
"""A Newton step is at most so many times as long as λ: a longer one comes of a Hessian that is nearly singular."""
TOLERANCE = 1e-10
"""Largest gradient of g, relative to the scores to be overcome, that counts as zero."""


@dataclass(frozen=True)
class Problem:
    """One start and one target.

    Attributes:
        net: rows and Gram matrix of the net.
        target: the wanted class.
        rivals: the classes that it has to pass: the K − 1 others, or fewer.
        deficit: b, by how much each rival is ahead.
        low, high: box of the change, D each, low ≤ 0 ≤ high.
        ratio: what Σ exp z_j may be, ∞ for the best class only.
    """

    net: LinearNet
    target: int
    rivals: npt.NDArray[np.intp]
    deficit: Vector
    low: Vector
    high: Vector
    ratio: float = np.inf

    def ahead(self, delta: Vector) -> Vector:
        """z = b − Aδ: by how much each rival is ahead after the change."""
        moved = self.net.rows @ delta
        return np.asarray(self.deficit + moved[self.rivals] - moved[self.target])

    def excess(self, delta: Vector) -> float:
        """By how much, in score, the change misses C; zero or less is inside."""
        return outside(self.ahead(delta), self.ratio)

    def pull(self, lam: Vector) -> Vector:
        """a = Aᵀλ, D."""
        weights = np.zeros(len(self.net.rows))
        weights[self.rivals] = -lam
        weights[self.target] = lam.sum()
        used = np.flatnonzero(weights)
        return np.asarray(weights[used] @ self.net.rows[used] if len(used) <= FEW else weights @ self.net.rows)

    def bound(self, lam: Vector, whole: bool) -> float:
        """g(λ), a lower bound of ½‖δ‖² for every δ that solves the problem; of whole changes if ``whole``."""
        a = self.pull(lam)
        if whole:
            delta = np.clip(np.rint(a), np.ceil(self.low), np.floor(self.high))
        else:
            delta = np.clip(a, self.low, self.high)
        return float(lam @ self.deficit - support(lam, self.ratio)[0] + (delta * (0.5 * delta - a)).sum())

    def impossible(self, lam: Vector) -> bool:
        """Whether λ proves that no δ in the box leads into C (Farkas): not even the box's best corner along λ does."""
        pull = self.pull(lam)
        needed = float(lam @ self.deficit) - support(lam, self.ratio)[0]
        reach = float(np.maximum(pull * self.high, pull * self.low).sum())
        return needed > reach * (1 + 1e-9)


def outside(z: Vector, ratio: float) -> float:
    """How far z lies outside C, in score: the larger of max z and of log Σ exp z − log ratio."""
    worst = float(z.max(initial=-np.inf))
    if np.isinf(ratio) or np.isinf(worst):
        return worst
    return max(worst, worst + float(np.log(np.exp(z - worst).sum()) - np.log(ratio)))


def support(lam: Vector, ratio: float) -> tuple[float, Vector, Optional[Matrix]]:
    """σ_C(λ), its gradient z*, and its Hessian (None where it is zero).

    z*_j = min(0, log(λ_j/θ)) with Σ exp z*_j = ratio; θ is found by water-filling: the m largest λ are capped at z = 0.
    """
    if ratio >= len(lam) or not lam.any():
        return 0.0, np.zeros_like(lam), None
    order = np.sort(lam)[::-1]
    rest = np.concatenate([[lam.sum()], lam.sum() - np.cumsum(order)])  # Σ of all but the m largest
    m = np.arange(int(np.ceil(ratio)))
    thetas = rest[m] / (ratio - m)
    fits = order[m] < thetas  # the largest uncapped one is below θ
    capped = int(np.argmax(fits)) if fits.any() else len(m) - 1
    theta = thetas[capped]
    with np.errstate(divide="ignore"):
        z = np.minimum(0.0, np.log(lam / theta))
    inner = z < 0
    hessian = np.zeros((len(lam), len(lam)))
    index = np.flatnonzero(inner)
    hessian[index, index] = 1 / np.maximum(lam[index], 1e-300)
    total = lam[index].sum()
    if total > 0:
        hessian[np.ix_(index, index)] -= 1 / total
    value = float((lam[lam > 0] * z[lam > 0]).sum())
    return value, z, hessian


def pixels(a: Vector, low: Vector, high: Vector, h: float) -> tuple[Vector, Vector]:
    """The minimiser δ of each pixel, and its slope dδ/da.

    For h = ½ it is a clipped to the box; for less, a rounded, with ramps of half-width h.
    """
    if h >= SMOOTH:
        return np.clip(a, low, high), ((a > low) & (a < high)).astype(np.float64)
    whole = np.floor(a)
    ramp = (a - whole - 0.5) / (2 * h) + 0.5
    inside = (ramp > 0) & (ramp < 1)
    delta = whole + np.clip(ramp, 0.0, 1.0)
    slope = inside & (delta > low) & (delta < high)
    return np.clip(delta, low, high), slope / (2 * h)


def unboxed(problem: Problem) -> Vector:
    """The dual's solution without the box, for a start: K dimensions, on the Gram matrix alone."""
    g = _between(problem.net.gram, problem)
    b = problem.deficit
    if problem.ratio >= len(b):
        return nonnegative(g, b)
    # All rivals below the level that they have if a handful share what the target leaves; then Newton as below.
    shifted = b + max(0.0, float(np.log(3 / problem.ratio)))
    lam = nonnegative(g, shifted)
    shares = np.exp(np.minimum(b - g @ lam - outside(b - g @ lam, 1.0), 0.0))
    lam = np.maximum(lam, np.maximum(lam.sum(), 1e-9) * np.maximum(shares, 1e-12) / len(b))

    def look(x: Vector) -> Seen:
        _, z, curve = support(x, problem.ratio)
        return Seen(b - g @ x - z, lambda: g, curve)

    return _newton(look, lam, g, TOLERANCE * _scale(problem), lambda x: False)[0]


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


def maximise(problem: Problem, lam: Vector, h: float = SMOOTH, tolerance: float = TOLERANCE, rounds: int = 30) -> Vector:
    """Raise g from λ until no rival outside the active set is ahead: Newton on the active ones, then look at all.

    Returns the last λ, whatever happened: a bound taken from it is rigorous. If there is no solution, λ grows until it
    proves that (:meth:`Problem.impossible`).
    """
    tolerance *= _scale(problem)
    for _ in range(rounds):
        if problem.ratio < len(lam):
            # log λ: every rival has its share, however small
            return _on(problem, np.maximum(lam, 1e-15 * max(lam.sum(), 1e-12)), np.arange(len(lam)), h, tolerance)[0]
        ahead = problem.ahead(pixels(problem.pull(lam), problem.low, problem.high, h)[0])
        late = np.flatnonzero((ahead > tolerance) & (lam == 0))
        late = late[np.argsort(-ahead[late])[: FEW // 2]]
        active = np.union1d(np.flatnonzero(lam > 0), late)
        if not len(active):
            break
        lam, done = _on(problem, lam, active, h, tolerance)
        if (done and not len(late)) or (not done and problem.impossible(lam)):
            break
    return lam


def _scale(problem: Problem) -> float:
    return max(float(np.abs(problem.deficit).max(initial=0.0)), 1e-12)


def _on(problem: Problem, lam: Vector, active: npt.NDArray[np.intp], h: float, tolerance: float,
        ) -> tuple[Vector, bool]:
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

    x, done = _newton(look, lam[active], _between(net.gram, problem)[np.ix_(active, active)], tolerance, hopeless)
    return whole(x), done


@dataclass(frozen=True)
class Seen:
    """At one λ: the gradient of g, minus its Hessian in δ (computed if asked), and that of σ_C (None for zero)."""

    gradient: Vector
    hessian: Callable[[], Matrix]
    curve: Optional[Matrix]


def _newton(look: Callable[[Vector], Seen], x: Vector, gram: Matrix, tolerance: float, hopeless: Callable[[Vector], bool],
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
        direction[index] = _solve(hessian[np.ix_(index, index)], gram[np.ix_(index, index)], seen.gradient[index],
                                  LONGEST * max(float(x.max()), float((np.abs(seen.gradient) / diagonal).max())))
        step = 1.0
        for _ in range(30):
            new = np.maximum(x + step * direction, 0)
            if seen.curve is not None:
                # log λ: a Newton step in log λ while the share is small, in λ once the quadratic part rules
                factor = x * np.exp(np.clip(step * direction / x, -30.0, 30.0))
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
    for part, ridge in ((0.0, 1e-14), (1e-3, 1e-9), (1e-1, 1e-6)):
        try:
            factor = cho_factor(hessian + part * gram + ridge * eye, check_finite=False)
        except LinAlgError:
            continue
        out = np.asarray(cho_solve(factor, right, check_finite=False))
        if float(out @ right) > 0 and float(np.abs(out).max()) <= longest:
            return out
    return np.asarray(right / np.maximum(np.diag(gram), 1e-300))


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
