"""Natural evolution strategies: the gradient from random directions, then iterated steps."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import MARGIN, Budget, Criterion, Result, Scores
from foolcaffe.attacks.iterated import directions, into_ball
from foolcaffe.attacks.radii import gains, radii
from foolcaffe.attacks.ray import shorten
from foolcaffe.attacks.search import BOUNDS, Search
from foolcaffe.images import Rgb8


def nes(
    net: Scores,
    start: Rgb8,
    criterion: Criterion,
    *,
    eps: float | None = None,
    norm: str = "linf",
    steps: int = 60,
    step_size: float | None = None,
    samples: int = 50,
    sigma: float = 4.0,
    bounds: tuple[float, float] = BOUNDS,
    budget: Budget | None = None,
    seed: int = 0,
) -> Result:
    """``g = Σ (f(x + σu) − f(x − σu)) u / 2σn`` over n Gaussian directions u, then a step of :func:`iterated` along g.

    Ilyas, Engstrom, Athalye and Lin 2018, section 2.2, algorithm 1: antithetic samples; momentum 0.9 as in their code.

    Differs from the paper in: f is the log odds by which the criterion is met, not the probability, which is flat where
    it is small; without an eps balls of several radii are tried; at last a shorter way to the image is looked for.

    Args:
        net: anything that gives scores.
        start: of its size.
        criterion: target and confidence if any, or label.
        eps, norm: the ball; without an eps growing ones, until the image fools.
        steps: in each ball.
        step_size: grey levels; default: 4 eps / steps.
        samples: images for one gradient, half of them mirrored.
        sigma: grey levels of the Gaussian.
        bounds: grey levels that may be used.
        budget: when to end in any case.
        seed: of the directions.
    """
    search = Search(net, start, criterion, eps=eps, norm=norm, bounds=bounds, budget=budget)
    rng = np.random.default_rng(seed)
    with search:
        search.look(search.base[None])
        for radius in radii(search):
            x, velocity = search.base[None].copy(), np.zeros_like(search.base[None])
            size = 4 * radius / steps if step_size is None else step_size
            for _ in range(steps):
                u = rng.standard_normal((max(samples // 2, 1), *search.base.shape)).astype(np.float32)
                pairs = np.concatenate([x + sigma * u, x - sigma * u])
                search.spend(len(pairs))
                gain = gains(search, net.probabilities(pairs))
                slopes = (gain[: len(u)] - gain[len(u) :]) / (2 * sigma * len(u))
                velocity = 0.9 * velocity + np.tensordot(slopes.astype(np.float32), u, axes=1)[None]
                x = into_ball(search, x + size * directions(velocity, norm), radius)
                search.steps += 1
                if bool(criterion.met(search.look(x), MARGIN)[0]):
                    break
        shorten(search)
    return search.result()
