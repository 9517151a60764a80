"""The smallest L∞ change of a linear net's input: bisection of ε between two kinds of proof.

The box of each pixel is shrunk to ±ε: an ε is possible if the L2 problem in that box has a solution, and impossible if
its dual asks for more than any corner of the box gives. Where so few pixels are left that Newton's steps get stuck at a
vertex, a small linear program ends it.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from foolcaffe.attacks.base import MARGIN, Certificate
from foolcaffe.attacks.dual import maximise, reach, unboxed
from foolcaffe.attacks.newton import Vector
from foolcaffe.attacks.problem import Problem, Solution, size, support
from foolcaffe.attacks.whole import whole

GAP = 3e-5
"""Relative distance of the proved and the reached ε at which the bisection ends."""


def linf(problem: Problem, margin: float) -> Solution | None:
    """The smallest L∞ change, and the best whole one; None if it is proved that nothing meets C by ``margin``.

    Args:
        problem: without any margin: what is proved is proved for this.
        margin: by how much, in score, C is to be met more than exactly.
    """
    tight = problem.tighter(margin)
    lam = maximise(tight, unboxed(tight))
    if tight.impossible(lam):
        return None
    delta, holds = reach(tight, lam)
    proved, reached = smallest_box(problem, lam), size(delta, "linf") if holds else np.inf
    below = smallest_box(tight, lam)
    for _ in range(60 if holds else 0):
        if reached - below <= GAP * reached:
            break
        eps = below + 0.3 * (reached - below)
        boxed = tight.shrunk(eps)
        lam = maximise(boxed, lam)
        least = smallest_box(tight, lam)
        proved, below = max(proved, smallest_box(problem, lam)), max(below, least)
        trial = boxed.pulled(lam)
        if tight.holds(trial):
            delta, reached = trial, min(reached, size(trial, "linf"))
        elif least < eps:
            break  # neither: it did not converge; what is proved so far holds
    free = min(2 * len(problem.rivals) + 20, len(delta))
    while holds and reached - below > GAP * reached and np.isinf(problem.ratio):
        corner, multipliers = vertex(tight, lam, reached, free)
        if multipliers is not None:
            least = smallest_box(tight, multipliers)
            proved, below = max(proved, smallest_box(problem, multipliers)), max(below, least)
            lam = multipliers if least == below else lam
        if corner is not None and tight.holds(corner) and size(corner, "linf") < reached:
            delta, reached = corner, size(corner, "linf")
        if free == len(delta):
            break
        free = min(4 * free, len(delta))
    # Whole levels: the smallest whole ε that is not proved to be too small.
    levels: Vector | None = None
    png = float(np.ceil(proved - 1e-9))
    for eps in np.arange(png, 256.0):
        boxed = problem.shrunk(eps)
        lam = maximise(boxed.tighter(max(margin, MARGIN)), np.zeros_like(lam))
        if eps == png and boxed.impossible(lam):
            png += 1
            continue
        levels, _ = whole(boxed, lam, max(margin, MARGIN))
        if levels is not None:
            break
    return Solution(delta, levels, Certificate("linf", proved, png, reached))


def vertex(problem: Problem, lam: Vector, eps: float, free: int) -> tuple[Vector | None, Vector | None]:
    """A small linear program where Newton's steps get stuck: the pixels that λ pulls at least are free, the others go
    as far as ε and the box let them. Its change and its multipliers, or None.
    """
    pull = problem.pull(lam)
    order = np.argsort(np.abs(pull), kind="stable")
    loose, held = order[:free], order[free:]
    sign = np.where(pull[held] > 0, 1.0, -1.0)
    room = np.where(pull[held] > 0, problem.high[held], -problem.low[held])
    at_eps = room > eps
    rows = problem.net.rows[problem.target] - problem.net.rows[problem.rivals]
    needed = problem.deficit - rows[:, held[~at_eps]] @ (sign[~at_eps] * room[~at_eps])
    along = rows[:, held[at_eps]] @ sign[at_eps]
    eye, one = np.eye(len(loose)), np.ones((len(loose), 1))
    program = linprog(
        np.append(np.zeros(len(loose)), 1.0),
        A_ub=np.block([[-rows[:, loose], -along[:, None]], [eye, -one], [-eye, -one]]),
        b_ub=np.concatenate([-needed, np.zeros(2 * len(loose))]),
        bounds=[*zip(problem.low[loose], problem.high[loose]), (0, None)],
    )
    if not program.success:
        return None, None
    delta = np.empty_like(pull)
    delta[loose] = program.x[:-1]
    delta[held] = sign * np.minimum(room, program.x[-1])
    return delta, np.maximum(-program.ineqlin.marginals[: len(rows)], 0.0)


def smallest_box(problem: Problem, lam: Vector) -> float:
    """The smallest ε that λ does not exclude: a rigorous lower bound of ‖δ‖∞ for every δ that solves the problem.

    In a box ±ε no change moves the scores along λ by more than Σ|a_i| min(ε, room_i); λᵀb − σ_C(λ) is needed.
    """
    if not lam.any():
        return 0.0
    needed = float(lam @ problem.deficit) - support(lam, problem.ratio)[0]
    if needed <= 0:
        return 0.0
    pull = problem.pull(lam)
    room, weight = np.where(pull > 0, problem.high, -problem.low), np.abs(pull)
    order = np.argsort(room, kind="stable")
    room, weight = room[order], weight[order]
    # at ε = room[k] the pixels up to k are exhausted
    spent = np.concatenate([[0.0], np.cumsum(room * weight)])
    left = np.concatenate([np.cumsum(weight[::-1])[::-1], [0.0]])
    reach = spent[:-1] + room * left[:-1]
    k = int(np.searchsorted(reach, needed))
    if k == len(room):
        return np.inf
    return float((needed - spent[k]) / max(left[k], 1e-300))
