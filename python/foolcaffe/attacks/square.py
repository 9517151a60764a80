"""Square attack: random squares at the corners of the L∞ ball."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import MARGIN, Result
from foolcaffe.attacks.radii import gains, radii
from foolcaffe.attacks.ray import shorten
from foolcaffe.attacks.search import Search, attack

SHARE = 0.3
"""Of the pixels, in the first square; the paper's p for ImageNet is 0.05, for CIFAR's smaller images more."""
HALVE = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Parts of the steps after which the share is halved (the paper's 10, 50, 200, … of 10,000)."""


@attack("linf")
def square(search: Search, *, steps: int = 2000, seed: int) -> Result:
    """A square of each channel goes to +eps or −eps; kept if that helps.

    Andriushchenko, Croce, Flammarion and Hein 2020, algorithms 1 and 2: vertical stripes of ±eps to begin with, then
    squares whose size follows a schedule. One query a step.

    Differs from the paper in: a square that changes nothing is kept too, for a forest's votes are flat; the schedule is
    stretched over ``steps``; without an eps balls of several radii are tried, and at last a shorter way to the image.

    Args:
        eps: the L∞ radius in grey levels; without it growing ones, until the image fools.
        steps: squares in each ball.
    """
    rng = np.random.default_rng(seed)
    channels, height, width = search.base.shape
    with search:
        search.look(search.base[None])
        for radius in radii(search):
            if radius == 0:
                break
            x = search.project(
                (search.base + rng.choice([-radius, radius], (channels, 1, width)))[None].astype(np.float32)
            )[0]
            best = float(gains(search, search.look(x[None]))[0])
            for step in range(steps):
                share = SHARE / 2.0 ** sum(step >= part * steps for part in HALVE)
                side = int(np.clip(round(np.sqrt(share * height * width)), 1, min(height, width)))
                i, j = rng.integers(height - side + 1), rng.integers(width - side + 1)
                place = (slice(None), slice(i, i + side), slice(j, j + side))
                tried = x.copy()
                tried[place] = search.base[place] + rng.choice([-radius, radius], (channels, 1, 1))
                tried = search.project(tried[None])[0]
                probabilities = search.look(tried[None])
                gain = float(gains(search, probabilities)[0])
                search.steps += 1
                if gain >= best:
                    x, best = tried, gain
                if bool(search.criterion.met(probabilities, MARGIN)[0]):
                    break
        shorten(search)
    return search.result()
