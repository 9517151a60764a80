"""DeepFool: step to the boundary of the linearised net, again and again, until it is crossed."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import MARGIN, Floats, Result
from foolcaffe.attacks.newton import nonnegative
from foolcaffe.attacks.ray import shorten
from foolcaffe.attacks.search import Search, attack

RIVALS = 10
"""Classes whose boundaries are looked at, the best ones, as in the authors' code."""
OVERSHOOT = 0.02
"""How far each step goes beyond the boundary (the paper's η); half as much again each time, for rounding takes some."""


@attack("l2")
def deepfool(search: Search, *, steps: int = 50) -> Result:
    """Least-norm steps to the boundaries of the linearised net (Moosavi-Dezfooli, Fawzi, Frossard 2016, algorithm 2).

    Untargeted, as in the paper: to the nearest of the boundaries between the label and the best others. Targeted: the
    smallest step that puts the target before all the best others at once, a least-distance problem with as many
    constraints, solved exactly; the paper has no such variant. For a linear net it is one step.

    Differs from the paper in: the overshoot grows with the steps, for the PNG has to fool; at last a shorter way to the
    image found is looked for.

    Args:
        criterion: label; or target. A confidence is then approached by asking for the log odds that are missing.
        steps: linearisations at most.

    Raises:
        FoolCaffeError: an all-zero gradient; or as :class:`Search`.
    """
    criterion = search.criterion
    x = search.base[None].copy()
    total = np.zeros_like(x)
    with search:
        for step in range(steps):
            search.spend(1)
            scores = search.gradients.scores(x)[0].astype(np.float64)
            order = np.argsort(-np.delete(scores, criterion.sought), kind="stable")[:RIVALS]
            rivals = np.delete(np.arange(search.net.classes), criterion.sought)[order]
            rows = _rows(search, x, rivals)  # ∇(s_sought − s_rival)
            ahead = scores[rivals] - scores[criterion.sought]
            if criterion.target is None:
                distances = np.abs(ahead) / np.maximum(np.linalg.norm(rows, axis=1), 1e-30)
                i = int(distances.argmin())
                move = -rows[i] * (abs(ahead[i]) + 1e-4) / max(float(rows[i] @ rows[i]), 1e-30)
            else:
                p = criterion.confidence
                missing = 0.0 if p is None else float(np.log(p / (1 - p))) + np.log(np.exp(ahead - ahead.max()).sum())
                lam = nonnegative(rows @ rows.T, ahead + max(missing, 0.0) + 1e-4)
                move = lam @ rows
            total += move.reshape(x.shape).astype(np.float32)
            x = search.project(search.base + (1 + OVERSHOOT * min(1.5**step, 10.0)) * total)
            search.steps += 1
            if bool(criterion.met(search.look(x), MARGIN)[0]):
                break
        shorten(search)
    return search.result()


def _rows(search: Search, x: Floats, rivals: np.ndarray) -> np.ndarray:
    diffs = np.zeros((len(rivals), search.net.classes), np.float32)
    diffs[np.arange(len(rivals)), rivals] = -1
    diffs[:, search.criterion.sought] = 1
    search.spend(len(rivals))
    gradients = search.gradients.data_gradients(np.repeat(x, len(rivals), axis=0), diffs)
    search.check_gradient(gradients)
    return np.asarray(gradients.reshape(len(rivals), -1).astype(np.float64))
