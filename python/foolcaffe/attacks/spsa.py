"""Simultaneous perturbation: the gradient from coin flips, followed by Adam."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import MARGIN, Budget, Criterion, Result, Scores
from foolcaffe.attacks.iterated import into_ball
from foolcaffe.attacks.radii import gains, radii
from foolcaffe.attacks.ray import shorten
from foolcaffe.attacks.search import BOUNDS, Search
from foolcaffe.images import Rgb8


def spsa(
    net: Scores,
    start: Rgb8,
    criterion: Criterion,
    *,
    eps: float | None = None,
    norm: str = "linf",
    steps: int = 60,
    step_size: float | None = None,
    samples: int = 50,
    delta: float = 2.0,
    bounds: tuple[float, float] = BOUNDS,
    budget: Budget | None = None,
    seed: int = 0,
) -> Result:
    """``g = mean (f(x + δv) − f(x − δv)) / 2δ · v`` over directions v of ±1, fed to Adam, drawn back into the ball.

    Uesato, O'Donoghue, Kohli and van den Oord 2018, algorithm 1.

    Differs from the paper in: it ends at the first PNG that fools; without an eps balls of several radii are tried; at
    last a shorter way to the image is looked for.

    Args:
        net: anything that gives scores.
        start: of its size.
        criterion: target and confidence if any, or label.
        eps, norm: the ball; without an eps growing ones, until the image fools.
        steps: in each ball.
        step_size: Adam's rate, in grey levels; default: 4 eps / steps for L∞, as much a pixel for L2.
        samples: images for one gradient.
        delta: δ, in grey levels.
        bounds: grey levels that may be used.
        budget: when to end in any case.
        seed: of the directions.
    """
    search = Search(net, start, criterion, eps=eps, norm=norm, bounds=bounds, budget=budget)
    rng = np.random.default_rng(seed)
    with search:
        search.look(search.base[None])
        for radius in radii(search):
            x = search.base[None].astype(np.float64)
            mean, square = np.zeros_like(x), np.zeros_like(x)
            each = radius if norm == "linf" else radius / float(np.sqrt(search.base.size))
            size = 4 * each / steps if step_size is None else step_size
            for step in range(1, 1 + steps):
                v = rng.choice(np.array([-1, 1], np.float32), (max(samples // 2, 1), *search.base.shape))
                pairs = np.concatenate([x + delta * v, x - delta * v]).astype(np.float32)
                search.spend(len(pairs))
                gain = gains(search, net.probabilities(pairs))
                slopes = (gain[: len(v)] - gain[len(v) :]) / (2 * delta)
                g = np.tensordot(slopes, v, axes=1)[None] / len(v)
                mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
                adam = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-12)
                x = into_ball(search, (x + size * adam).astype(np.float32), radius).astype(np.float64)
                search.steps += 1
                if bool(criterion.met(search.look(x.astype(np.float32)), MARGIN)[0]):
                    break
        shorten(search)
    return search.result()
