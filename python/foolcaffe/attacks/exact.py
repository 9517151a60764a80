"""The exact attack on a linear net: the smallest L2 or L∞ change, with a proof; the best 8-bit image, with a bound.

Both are convex problems in D pixels with K − 1 constraints; a dual solution proves how good an image is. The parts:
:mod:`~foolcaffe.attacks.problem` (primal, dual, bounds), :mod:`~foolcaffe.attacks.dual` (the best multipliers),
:mod:`~foolcaffe.attacks.linf`, :mod:`~foolcaffe.attacks.whole` (8 bits).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from threadpoolctl import ThreadpoolController

from foolcaffe.attacks.base import MARGIN, Budget, Certificate, Criterion, Result
from foolcaffe.attacks.dual import maximise, reach, unboxed
from foolcaffe.attacks.linear import LinearNet, linear_net
from foolcaffe.attacks.linf import linf
from foolcaffe.attacks.newton import Vector
from foolcaffe.attacks.problem import Problem, Solution, size
from foolcaffe.attacks.search import BOUNDS, Search
from foolcaffe.attacks.whole import whole
from foolcaffe.classifier import Classifier
from foolcaffe.images import Rgb8

_THREADS = ThreadpoolController()


def exact(
    net: Classifier,
    start: Rgb8,
    criterion: Criterion,
    *,
    norm: str = "l2",
    eps: float | None = None,
    bounds: tuple[float, float] = BOUNDS,
    budget: Budget | None = None,
    seed: int = 0,
) -> Result:
    """The smallest change that fools a linear net, with a certificate; the best 8-bit image, with a bound of its own.

    Karpathy 2015 adds a fraction of the weights; this is the fraction of the fewest weights that there can be: of the
    target's row less those of the few rivals that would come first. Untargeted: the nearest of all rivals.

    Args:
        norm: what is made smallest.
        eps: the largest norm allowed; if the optimum is larger, that is proved.
        budget: of queries; the search itself needs two.
        the others: :data:`~foolcaffe.attacks.base.Attack` describes them.

    Returns:
        ``raw`` is the optimum, ``image`` the best 8-bit image, ``certificate`` the proof.

    Raises:
        FoolCaffeError: the net is not linear; or as :class:`Search`.
    """
    linear = linear_net(net)
    Search(net, start, criterion, eps=eps, norm=norm, bounds=bounds)  # refuses a bad eps, as every method does
    # An eps restricts the answer, not the search: what is nearest is found first, then compared.
    search = Search(net, start, criterion, norm=norm, bounds=bounds, budget=budget)
    x = search.base.reshape(-1).astype(np.float64)
    low, high = (search.low.reshape(-1) - x).astype(np.float64), (search.high.reshape(-1) - x).astype(np.float64)
    shape = search.base.shape
    solution: Solution | None = None
    margin, note = 0.0, ""
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
            met = bool(criterion.met(probabilities, MARGIN / 2)[0]) and bool(criterion.met(net.probabilities(raw))[0])
            if eps is None or size(solution.levels, norm) <= eps:
                search.remember(raw, levels, probabilities)
            else:
                search.best = float(criterion.confidences(probabilities)[0])
            if met:
                break
    if solution is None:
        note = f"proved: no image within the bounds meets it by {margin:.1g} in score, what float32 can tell"
    elif solution.levels is None:
        note = (
            f"no 8-bit image was found; it is proved that none is nearer than {solution.certificate.png:.4g} ({norm})"
        )
    elif eps is not None and solution.certificate.png > eps:
        nearest = f"the nearest is {solution.certificate.png:.4g} away or more ({norm})"
        note = f"proved: no 8-bit image within {eps:g} meets it, {nearest}"
    elif eps is not None and size(solution.levels, norm) > eps:
        found = f"the nearest 8-bit image found is {size(solution.levels, norm):.6g} away ({norm})"
        note = f"not decided: {found}; proved: none is nearer than {solution.certificate.png:.6g}"
    result = search.result(note)
    return replace(result, certificate=None if solution is None else solution.certificate)


def _margins(linear: LinearNet, criterion: Criterion) -> list[float]:
    """What to ask for beyond C, in score: what float32 may get wrong in scores and, near 0 and 1, in the softmax."""
    p = criterion.confidence
    usual = linear.rounding + (0.0 if p is None else 2.0**-22 / (p * (1 - p)))
    return [usual, 4 * usual, 16 * usual]


def solve(
    linear: LinearNet, x: Vector, low: Vector, high: Vector, criterion: Criterion, norm: str, margin: float
) -> Solution | None:
    """The optimum from pixels x (D, BGR) for a change in low..high, or None if it is proved that there is none.

    Args:
        linear: the net.
        x: the start.
        low, high: the box of the change, whole numbers.
        criterion: target and confidence if any, or label.
        norm: ``l2`` or ``linf``.
        margin: by how much, in score, C is to be met more than exactly; a PNG goes beyond by MARGIN at least. The
            certificate is for no margin at all; None says that nothing meets C by the margin.
    """
    scores = linear.scores(x)
    method = _l2 if norm == "l2" else linf
    if criterion.target is not None:
        t = criterion.target
        ratio = np.inf if criterion.confidence is None else (1 - criterion.confidence) / criterion.confidence
        rivals = np.delete(np.arange(len(scores)), t)
        return method(Problem(linear, t, rivals, scores[rivals] - scores[t], low, high, ratio), margin)
    # Untargeted: one constraint a rival, the nearest without box and rounding first: it tells when to end.
    label = criterion.sought
    order = np.delete(np.arange(len(scores)), label)
    simple = np.array(
        [
            (scores[label] - scores[j]) / max(_dual_norm(linear.rows[j] - linear.rows[label], norm), 1e-300)
            for j in order
        ]
    )
    best: Solution | None = None
    proved, proved_png = np.inf, np.inf
    for i in np.argsort(simple, kind="stable"):
        if (
            best is not None
            and simple[i] >= best.certificate.reached
            and _on_grid(simple[i], norm) >= _size(best, norm)
        ):
            break
        rival = int(order[i])
        problem = Problem(linear, rival, np.array([label]), scores[[label]] - scores[rival], low, high)
        found = method(problem, margin)
        if found is None:
            continue
        proved, proved_png = min(proved, found.certificate.floats), min(proved_png, found.certificate.png)
        if best is None or _size(found, norm) < _size(best, norm):
            best = replace(
                found,
                delta=found.delta if best is None or size(found.delta, norm) < size(best.delta, norm) else best.delta,
            )
        elif size(found.delta, norm) < size(best.delta, norm):
            best = replace(best, delta=found.delta)
        best = replace(best, certificate=replace(best.certificate, reached=size(best.delta, norm)))
    if best is None:
        return None
    return replace(best, certificate=replace(best.certificate, floats=proved, png=proved_png))


def _dual_norm(row: Vector, norm: str) -> float:
    return float(np.linalg.norm(row) if norm == "l2" else np.abs(row).sum())


def _on_grid(size: float, norm: str) -> float:
    """The smallest norm that a whole change of at least this norm can have."""
    return float(np.ceil(size - 1e-9) if norm == "linf" else np.sqrt(np.ceil(size * size - 1e-9)))


def _size(solution: Solution, norm: str) -> float:
    return np.inf if solution.levels is None else size(solution.levels, norm)


def _l2(problem: Problem, margin: float) -> Solution | None:
    tight = problem.tighter(margin)
    lam = maximise(tight, unboxed(tight))
    if tight.impossible(lam):
        return None
    delta, holds = reach(tight, lam)
    levels, png = whole(problem, lam, max(margin, MARGIN))
    floats = float(np.sqrt(2 * max(problem.bound(lam, whole=False), 0.0)))
    reached = size(delta, "l2") if holds else np.inf
    return Solution(delta, levels, Certificate("l2", floats, max(png, floats), reached))
