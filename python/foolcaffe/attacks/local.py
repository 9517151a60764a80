"""Stochastic local search: change something at random, keep it if it helps."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import MARGIN, Result
from foolcaffe.attacks.iterated import into_ball
from foolcaffe.attacks.radii import gains, radii
from foolcaffe.attacks.ray import shorten
from foolcaffe.attacks.search import Search, attack

TOGETHER = 16
"""Neighbours that are scored at once; the best is kept if it is better than what there was."""


@attack("linf", "l2")
def local(search: Search, *, steps: int = 400, seed: int) -> Result:
    """Rectangles of one colour channel, of random size and place, go to either end of the ball; the best is kept.

    Karpathy 2015: "or to use other local stochastic search strategies". Plain hill climbing: no gradient, no model of
    the scores; a classifier that votes is no harder than another.

    Args:
        eps, norm: the ball; without an eps growing ones, until the image fools.
        steps: rounds of 16 neighbours in each ball.
    """
    rng = np.random.default_rng(seed)
    _, height, width = search.base.shape
    with search:
        begin = float(gains(search, search.look(search.base[None]))[0])
        for radius in radii(search):
            x, best = search.base, begin
            # in an L2 ball a rectangle cannot use all of the radius: each moves by a good part of it
            reach = radius if search.norm == "linf" else 4 * radius / float(np.sqrt(search.base.size))
            for step in range(steps):
                side = max(1.0, 0.5 * min(height, width) * 0.02 ** (step / steps))  # from half the image to a pixel
                neighbours = np.repeat(x[None], TOGETHER, axis=0)
                for image in neighbours:
                    h, w = (int(np.clip(rng.poisson(side), 1, limit)) for limit in (height, width))
                    i, j, channel = rng.integers(height - h + 1), rng.integers(width - w + 1), rng.integers(3)
                    place = (channel, slice(i, i + h), slice(j, j + w))
                    image[place] = search.base[place] + rng.choice([-reach, 0.0, reach])
                neighbours = into_ball(search, neighbours, radius)
                probabilities = search.look(neighbours)
                gain = gains(search, probabilities)
                search.steps += 1
                i = int(gain.argmax())
                if gain[i] >= best:
                    x, best = neighbours[i], float(gain[i])
                if search.criterion.met(probabilities, MARGIN).any():
                    break
        shorten(search)
    return search.result()
