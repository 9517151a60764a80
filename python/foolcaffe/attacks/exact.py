"""The exact attack on a linear net: the smallest L2 or L∞ change, proved to be so; then the best 8-bit image, with a bound.

Both are convex problems in D pixels with K − 1 constraints (see :mod:`foolcaffe.attacks.dual`); a dual solution proves
how good an image is. For L∞ the box of each pixel is shrunk to ±ε: an ε is possible if the L2 problem in that box has a
solution, and impossible if its dual exceeds what any corner of the box could reach. Both answers are proofs, so bisection
is too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import ThreadpoolController

from foolcaffe.attacks.base import Budget, Certificate, Criterion, Result
from foolcaffe.attacks.dual import Problem, Vector, maximise, outside, support, unboxed
from foolcaffe.attacks.linear import LinearNet, linear_net
from foolcaffe.attacks.search import BOUNDS, Search
from foolcaffe.images import Rgb8
from foolcaffe.net import Classifier

RAMPS = (0.2, 0.05, 0.01)
"""Half-widths of the ramps that smooth the rounding, one after the other."""
ROUGH = 1e-5
"""Tolerance while the rounding is smoothed: the bound is rigorous whatever λ, and gains nothing from more."""
LINF_GAP = 3e-5
"""Relative distance of the proved and the reached ε at which the bisection of L∞ ends."""
REPAIRS = 60
"""Changes of one level that are made at most before the dual is asked for more instead."""
TRIED = 300
"""Changes that are tried for being taken back after rounding."""
_THREADS = ThreadpoolController()


@dataclass
class Solution:
    """Of one problem: a change δ of real numbers, whole ones (None if none was found), and what was proved."""

    delta: Vector
    levels: Vector | None
    certificate: Certificate


def exact(net: Classifier, start: Rgb8, criterion: Criterion, *, norm: str = "l2", eps: float | None = None,
          bounds: tuple[float, float] = BOUNDS, budget: Budget | None = None, seed: int = 0) -> Result:
    """The smallest change that fools a linear net, with a certificate; and the best 8-bit image, with a bound of its own.

    Karpathy 2015 adds a fraction of the weights; this is the fraction of the fewest weights that there can be: of the
    target's row less those of the few rivals that would come first. Untargeted: the nearest of all rivals.

    Args:
        net: a linear net.
        start: of the net's size.
        criterion: target and confidence if any, or label.
        norm: what is made smallest.
        eps: the largest norm allowed; if the optimum is larger, that is proved.
        bounds: grey levels that may be used.
        budget: of queries; the search itself needs two.
        seed: not used: nothing is drawn.

    Returns:
        ``raw`` is the optimum, ``image`` the best 8-bit image, ``certificate`` the proof.

    Raises:
        FoolCaffeError: the net is not linear; or as :class:`Search`.
    """
    linear = linear_net(net)
    # An eps restricts the answer, not the search: what is nearest is found first, then compared.
    search = Search(net, start, criterion, norm=norm, bounds=bounds, budget=budget)
    x = search.base.reshape(-1).astype(np.float64)
    low, high = (search.low.reshape(-1) - x).astype(np.float64), (search.high.reshape(-1) - x).astype(np.float64)
    shape = search.base.shape
    solution: Solution | None = None
    note = ""
    with search:
        # The net itself has the last word: should its float32 scores disagree by more than usual, ask for more margin.
        for margin in _margins(linear, criterion):
            with _THREADS.limit(limits=1, user_api="blas"):
                solution = solve(linear, x, low, high, criterion, norm, margin)
            if solution is None or solution.levels is None:
                break
            levels = (x + solution.levels).reshape(shape).astype(np.float32)[None]
            raw = (x + solution.delta).reshape(shape).astype(np.float32)[None]
            search.spend(2)
            search.steps = 1
            probabilities = net.probabilities(levels)
            met = bool(criterion.met(probabilities)[0]) and bool(criterion.met(net.probabilities(raw))[0])
            if eps is None or _norm(solution.levels, norm) <= eps:
                search.remember(raw, levels, probabilities)
            else:
                search.best = float(criterion.confidences(probabilities)[0])
            if met:
                break
    if solution is None:
        note = "proved: no image within the bounds meets it"
    elif eps is not None and solution.certificate.png > eps:
        note = f"proved: no 8-bit image within {eps:g} meets it, the nearest is {solution.certificate.png:.4g} away or more ({norm})"
    result = search.result(note)
    return replace(result, certificate=None if solution is None else solution.certificate)


def _margins(linear: LinearNet, criterion: Criterion) -> list[float]:
    """What to ask for beyond C, in score: what float32 may get wrong in scores and, near 0 and 1, in the softmax."""
    p = criterion.confidence
    usual = linear.rounding + (0.0 if p is None else 2.0**-22 / (p * (1 - p)))
    return [usual, 4 * usual, 16 * usual]


def solve(linear: LinearNet, x: Vector, low: Vector, high: Vector, criterion: Criterion, norm: str, margin: float,
          ) -> Solution | None:
    """The optimum from pixels x (D, BGR) for a change in low..high, or None if it is proved that there is none.

    Args:
        linear: the net.
        x: the start.
        low, high: the box of the change, whole numbers.
        criterion: target and confidence if any, or label.
        norm: ``l2`` or ``linf``.
        margin: by how much, in score, C is to be met more than exactly; the certificate is for no margin at all.
    """
    scores = linear.scores(x)
    method = _l2 if norm == "l2" else _linf
    if criterion.target is not None:
        t = criterion.target
        ratio = np.inf if criterion.confidence is None else (1 - criterion.confidence) / criterion.confidence
        rivals = np.delete(np.arange(len(scores)), t)
        return method(Problem(linear, t, rivals, scores[rivals] - scores[t], low, high, ratio), margin)
    # Untargeted: one constraint a rival, those first that would be nearest without box and rounding; that tells when to end.
    label = criterion.sought
    order = np.delete(np.arange(len(scores)), label)
    simple = np.array([(scores[label] - scores[j]) / max(_dual_norm(linear.rows[j] - linear.rows[label], norm), 1e-300) for j in order])
    best: Solution | None = None
    proved, proved_png = np.inf, np.inf
    for i in np.argsort(simple, kind="stable"):
        if best is not None and simple[i] >= best.certificate.reached and _on_grid(simple[i], norm) >= _size(best, norm):
            break
        rival = int(order[i])
        problem = Problem(linear, rival, np.array([label]), scores[[label]] - scores[rival], low, high)
        found = method(problem, margin)
        if found is None:
            continue
        proved, proved_png = min(proved, found.certificate.floats), min(proved_png, found.certificate.png)
        if best is None or _size(found, norm) < _size(best, norm):
            best = replace(found, delta=found.delta if best is None or _norm(found.delta, norm) < _norm(best.delta, norm) else best.delta)
        elif _norm(found.delta, norm) < _norm(best.delta, norm):
            best = replace(best, delta=found.delta)
        best = replace(best, certificate=replace(best.certificate, reached=_norm(best.delta, norm)))
    if best is None:
        return None
    return replace(best, certificate=replace(best.certificate, floats=proved, png=proved_png))


def _norm(delta: Vector, norm: str) -> float:
    return float(np.linalg.norm(delta) if norm == "l2" else np.abs(delta).max(initial=0.0))


def _dual_norm(row: Vector, norm: str) -> float:
    return float(np.linalg.norm(row) if norm == "l2" else np.abs(row).sum())


def _on_grid(size: float, norm: str) -> float:
    """The smallest norm that a whole change of at least this norm can have."""
    return float(np.ceil(size - 1e-9) if norm == "linf" else np.sqrt(np.ceil(size * size - 1e-9)))


def _size(solution: Solution, norm: str) -> float:
    return np.inf if solution.levels is None else _norm(solution.levels, norm)


def _l2(problem: Problem, margin: float) -> Solution | None:
    tight = replace(problem, deficit=problem.deficit + margin)
    lam = maximise(tight, unboxed(tight))
    if problem.impossible(lam):
        return None
    delta = np.clip(tight.pull(lam), problem.low, problem.high)
    levels, png = whole(problem, lam, margin)
    floats = np.sqrt(2 * max(problem.bound(lam, whole=False), 0.0))
    return Solution(delta, levels, Certificate("l2", floats, max(png, floats), _norm(delta, "l2")))


def whole(problem: Problem, lam: Vector, margin: float) -> tuple[Vector | None, float]:
    """The best whole change near a dual solution (None if none was found), and a rigorous bound of the norm of any.

    The rounded dual solution misses C by a few pixels' worth: it is repaired, and changes that turn out not to be needed
    are taken back.
    """
    proved, best = 0.0, None
    asked = margin
    for h in RAMPS:
        tight = replace(problem, deficit=problem.deficit + asked)
        lam = maximise(tight, lam, h, ROUGH)
        proved = max(proved, problem.bound(lam, whole=True))
    for attempt in range(12):
        pull = problem.pull(lam)
        delta = _repair(problem, pull, margin)
        if delta is not None:
            best = _trim(problem, delta, pull, margin)
            break
        # not within reach of a few changes: ask for more, and more each time
        asked += 2.0**attempt * max(margin, 1e-4 * float(np.abs(problem.deficit).max()))
        tight = replace(problem, deficit=problem.deficit + asked)
        lam = maximise(tight, lam, RAMPS[-1], ROUGH)
        if problem.impossible(lam):
            break
    return best, float(np.sqrt(2 * max(proved, 0.0)))


def _repair(problem: Problem, pull: Vector, margin: float) -> Vector | None:
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


def _trim(problem: Problem, delta: Vector, pull: Vector, margin: float) -> Vector:
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


def _linf(problem: Problem, margin: float) -> Solution | None:
    tight = replace(problem, deficit=problem.deficit + margin)
    lam = maximise(tight, unboxed(tight))
    if problem.impossible(lam):
        return None
    delta = np.clip(tight.pull(lam), problem.low, problem.high)
    proved, reached = smallest_box(problem, lam), _norm(delta, "linf")
    below = smallest_box(tight, lam)
    for _ in range(60):
        if reached - below <= LINF_GAP * reached:
            break
        eps = below + 0.3 * (reached - below)
        boxed = shrunk(tight, eps)
        lam = maximise(boxed, lam)
        least = smallest_box(tight, lam)
        proved, below = max(proved, smallest_box(problem, lam)), max(below, least)
        trial = np.clip(tight.pull(lam), boxed.low, boxed.high)
        if tight.excess(trial) <= 1e-9 * max(1.0, float(np.abs(tight.deficit).max())):
            delta, reached = trial, min(reached, _norm(trial, "linf"))
        elif least < eps:
            break  # neither: it did not converge; what is proved so far holds
    # Whole levels: the smallest whole ε that is not proved to be too small.
    levels: Vector | None = None
    png = float(np.ceil(proved - 1e-9))
    for eps in np.arange(png, 256.0):
        boxed = shrunk(problem, eps)
        lam = maximise(replace(boxed, deficit=boxed.deficit + margin), np.zeros_like(lam))
        if eps == png and boxed.impossible(lam):
            png += 1
            continue
        levels, _ = whole(boxed, lam, margin)
        if levels is not None:
            break
    return Solution(delta, levels, Certificate("linf", proved, png, reached))


def shrunk(problem: Problem, eps: float) -> Problem:
    """The same problem with every pixel's change at most eps."""
    return replace(problem, low=np.maximum(problem.low, -eps), high=np.minimum(problem.high, eps))


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
