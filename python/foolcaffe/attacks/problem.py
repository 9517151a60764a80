"""The smallest change of a linear net's input that moves its scores, as a problem and its Lagrangian dual.

The primal, over a change δ of D pixels in a box, K − 1 rival classes, target t::

    minimise ½‖δ‖²   so that   z = b − Aδ ∈ C,   low ≤ δ ≤ high,   (δ whole grey levels)
    A_j = w_t − w_j,   b_j = s_j − s_t (+ a margin),   C = {z ≤ 0, Σ exp z_j ≤ ratio}

z_j is by how much rival j is ahead. With ``ratio`` = ∞ C says "t is the best class"; with (1 − p)/p it says "and its
softmax is at least p" as well. The dual separates by pixel (Shapley and Folkman's reason that it is nearly tight even
for whole numbers: D pixels, few active constraints)::

    g(λ) = λᵀb − σ_C(λ) + Σ_i min_{δ_i} (½δ_i² − a_i δ_i),   a = Aᵀλ,   σ_C(λ) = max_{z ∈ C} λᵀz,   λ ≥ 0

Every λ gives a rigorous lower bound; :func:`foolcaffe.attacks.dual.maximise` finds the best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from foolcaffe.attacks.base import Certificate
from foolcaffe.attacks.linear import LinearNet
from foolcaffe.attacks.newton import Matrix, Vector

SMOOTH = 0.5
"""The h of a change that need not be whole."""
FEW = 64
"""Up to so many active classes their rows are copied out; more use all rows and the Gram matrix."""


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
        """Return by how much, in score, the change misses C; zero or less is inside."""
        return outside(self.ahead(delta), self.ratio)

    def pull(self, lam: Vector) -> Vector:
        """a = Aᵀλ, D."""
        weights = np.zeros(len(self.net.rows))
        weights[self.rivals] = -lam
        weights[self.target] = lam.sum()
        used = np.flatnonzero(weights)
        return np.asarray(weights[used] @ self.net.rows[used] if len(used) <= FEW else weights @ self.net.rows)

    def pulled(self, lam: Vector) -> Vector:
        """The change of real numbers that λ pulls to: a, held back by the box."""
        return np.clip(self.pull(lam), self.low, self.high)

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

    def scale(self) -> float:
        """The size of the scores to be overcome, to compare errors with."""
        return max(float(np.abs(self.deficit).max(initial=0.0)), 1e-12)

    def holds(self, delta: Vector) -> bool:
        """Whether a change leads into C, but for what double precision gets wrong."""
        return self.excess(delta) <= 1e-9 * self.scale()

    def tighter(self, margin: float) -> Problem:
        """The same problem with every rival so much further ahead, in score."""
        return replace(self, deficit=self.deficit + margin)

    def shrunk(self, eps: float) -> Problem:
        """The same problem with every pixel's change at most eps."""
        return replace(self, low=np.maximum(self.low, -eps), high=np.minimum(self.high, eps))


@dataclass(frozen=True)
class Solution:
    """One problem's solution: a change δ of real numbers, a whole one (None if none was found), and what was proved."""

    delta: Vector
    levels: Vector | None
    certificate: Certificate


def size(delta: Vector, norm: str) -> float:
    """The L2 or L∞ norm of a change."""
    return float(np.linalg.norm(delta) if norm == "l2" else np.abs(delta).max(initial=0.0))


def outside(z: Vector, ratio: float) -> float:
    """How far z lies outside C, in score: the larger of max z and of log Σ exp z − log ratio."""
    worst = float(z.max(initial=-np.inf))
    if np.isinf(ratio) or np.isinf(worst):
        return worst
    return max(worst, worst + float(np.log(np.exp(z - worst).sum()) - np.log(ratio)))


def support(lam: Vector, ratio: float) -> tuple[float, Vector, Matrix | None]:
    """σ_C(λ), its gradient z*, and its Hessian (None where it is zero).

    z*_j = min(0, log(λ_j/θ)) with Σ exp z*_j = ratio; θ is found by water-filling: the m largest λ are capped at z = 0.
    """
    if ratio >= len(lam) or not lam.any():
        return 0.0, np.zeros_like(lam), None
    used = lam > 0
    if used.sum() <= ratio:  # all of them are capped, and what is left is for the others
        left = (ratio - used.sum()) / (~used).sum()
        return 0.0, np.where(used, 0.0, min(0.0, float(np.log(left))) if left > 0 else -np.inf), None
    order = np.sort(lam)[::-1]
    rest = np.cumsum(order[::-1])[::-1]  # Σ of all but the m largest
    m = np.arange(int(np.ceil(ratio)))
    thetas = rest[m] / (ratio - m)
    fits = order[m] < thetas  # the largest uncapped one is below θ
    capped = int(np.argmax(fits)) if fits.any() else len(m) - 1
    theta = thetas[capped]
    with np.errstate(divide="ignore"):
        z = np.minimum(0.0, np.log(lam) - np.log(theta))
    inner = z < 0
    hessian = np.zeros((len(lam), len(lam)))
    index = np.flatnonzero(inner)
    hessian[index, index] = 1 / np.maximum(lam[index], 1e-300)
    total = lam[index].sum()
    if total > 0:
        hessian[np.ix_(index, index)] -= 1 / max(total, 1e-300)
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
