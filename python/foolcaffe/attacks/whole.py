"""The best 8-bit image near a dual solution: rounded, repaired until it fools, and trimmed; with a bound for any."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.dual import maximise
from foolcaffe.attacks.newton import Vector
from foolcaffe.attacks.problem import Problem, outside

RAMPS = (0.2, 0.05, 0.01)
"""Half-widths of the ramps that smooth the rounding, one after the other."""
ROUGH = 1e-5
"""Tolerance while the rounding is smoothed: the bound is rigorous whatever λ, and gains nothing from more."""
REPAIRS = 60
"""Changes of one level that are made at most before the dual is asked for more instead."""
TRIED = 300
"""Changes that are tried for being taken back after rounding."""


def whole(problem: Problem, lam: Vector, margin: float) -> tuple[Vector | None, float]:
    """The best whole change near a dual solution (None if none was found), and a rigorous bound of the norm of any.

    The rounded dual solution misses C by a few pixels' worth: it is repaired, and changes that turn out not to be
    needed are taken back.
    """
    proved, best = 0.0, None
    asked = margin
    for h in RAMPS:
        tight = problem.tighter(asked)
        lam = maximise(tight, lam, h, ROUGH)
        proved = max(proved, problem.bound(lam, whole=True))
    for attempt in range(12):
        pull = problem.pull(lam)
        delta = repair(problem, pull, margin)
        if delta is not None:
            best = trim(problem, delta, pull, margin)
            break
        # not within reach of a few changes: ask for more, and more each time
        asked += 2.0**attempt * max(margin, 1e-4 * float(np.abs(problem.deficit).max()))
        tight = problem.tighter(asked)
        lam = maximise(tight, lam, RAMPS[-1], ROUGH)
        if problem.impossible(lam):
            break
    return best, float(np.sqrt(2 * max(proved, 0.0)))


def repair(problem: Problem, pull: Vector, margin: float) -> Vector | None:
    """Round the dual solution, and change one level at a time until C is met; None if that takes too many.

    Each change is the one that gains most, against the rivals that are ahead, for what the dual says it costs.
    """
    low, high = np.ceil(problem.low), np.floor(problem.high)
    delta = np.clip(np.rint(pull), low, high)
    ahead = problem.ahead(delta)
    rows, t, rivals = problem.net.rows, problem.target, problem.rivals
    for _ in range(REPAIRS):
        if outside(ahead, problem.ratio) + margin <= 0:
            return np.asarray(delta)
        if np.isinf(problem.ratio) or float(ahead.max()) + margin > 0:
            gain = rows[t] - rows[rivals[int(ahead.argmax())]]
        else:
            shares = np.exp(ahead - ahead.max())
            gain = rows[t] - (shares / shares.sum()) @ rows[rivals]
        sign = np.sign(gain)
        cost = np.maximum(0.5 - sign * (pull - delta), 1e-3)  # of ½δ² − aδ
        value = np.where((delta + sign <= high) & (delta + sign >= low), np.abs(gain) / cost, 0.0)
        i = int(value.argmax())
        if value[i] == 0:
            return None
        delta[i] += sign[i]
        ahead = ahead - sign[i] * (rows[t, i] - rows[rivals, i])
    return None


def trim(problem: Problem, delta: Vector, pull: Vector, margin: float) -> Vector:
    """Take back, one level each, changes without which C is still met: those that the dual values least first."""
    delta = delta.copy()
    ahead = problem.ahead(delta)
    moved = np.flatnonzero(delta)
    worth = np.abs(pull[moved]) - np.abs(delta[moved])
    rows, t, rivals = problem.net.rows, problem.target, problem.rivals
    for i in moved[np.argsort(worth, kind="stable")[:TRIED]]:
        sign = np.sign(delta[i])
        tried = ahead + sign * (rows[t, i] - rows[rivals, i])
        if outside(tried, problem.ratio) + margin <= 0:
            delta[i] -= sign
            ahead = tried
    return delta
