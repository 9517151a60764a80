"""Gradients estimated from pairs of mirrored random directions: natural evolution strategies (NES), and SPSA."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from foolcaffe.attacks.base import MARGIN, Floats, Result
from foolcaffe.attacks.iterated import directions, into_ball
from foolcaffe.attacks.radii import gains, radii
from foolcaffe.attacks.ray import shorten
from foolcaffe.attacks.search import Search, attack


@attack("linf", "l2")
def nes(
    search: Search, *, steps: int = 60, step_size: float | None = None, samples: int = 50, sigma: float = 4.0, seed: int
) -> Result:
    """``g = Σ (f(x + σu) − f(x − σu)) u / 2σn`` over n Gaussian directions u, then a step of :func:`iterated` along g.

    Ilyas, Engstrom, Athalye and Lin 2018, section 2.2, algorithm 1: antithetic samples; momentum 0.9 as in their code.

    Differs from the paper in: f is the log odds by which the criterion is met, not the probability, which is flat where
    it is small; without an eps balls of several radii are tried; at last a shorter way to the image is looked for.

    Args:
        eps, norm: the ball; without an eps growing ones, until the image fools.
        steps: in each ball.
        step_size: grey levels; default: 4 eps / steps.
        samples: images for one gradient, half of them mirrored.
        sigma: grey levels of the Gaussian.
    """
    rng = np.random.default_rng(seed)

    def gaussian(shape: tuple[int, ...]) -> Floats:
        return rng.standard_normal(shape).astype(np.float32)

    def momentum(radius: float) -> Update:
        size = 4 * radius / steps if step_size is None else step_size
        velocity = np.zeros_like(search.base[None])

        def update(slopes: np.ndarray, u: Floats) -> np.ndarray:
            nonlocal velocity
            velocity = 0.9 * velocity + np.tensordot((slopes / len(u)).astype(np.float32), u, axes=1)[None]
            return size * directions(velocity, search.norm)

        return update

    return _climb(search, steps, samples, sigma, gaussian, momentum)


@attack("linf", "l2")
def spsa(
    search: Search, *, steps: int = 60, step_size: float | None = None, samples: int = 50, delta: float = 2.0, seed: int
) -> Result:
    """``g = mean (f(x + δv) − f(x − δv)) / 2δ · v`` over directions v of ±1, fed to Adam, drawn back into the ball.

    Uesato, O'Donoghue, Kohli and van den Oord 2018, algorithm 1.

    Differs from the paper in: it ends at the first PNG that fools; without an eps balls of several radii are tried; at
    last a shorter way to the image is looked for.

    Args:
        eps, norm: the ball; without an eps growing ones, until the image fools.
        steps: in each ball.
        step_size: Adam's rate, in grey levels; default: 4 eps / steps for L∞, as much a pixel for L2.
        samples: images for one gradient.
        delta: δ, in grey levels.
    """
    rng = np.random.default_rng(seed)

    def coins(shape: tuple[int, ...]) -> Floats:
        return rng.choice(np.array([-1, 1], np.float32), shape)

    def adam(radius: float) -> Update:
        each = radius if search.norm == "linf" else radius / float(np.sqrt(search.base.size))
        size = 4 * each / steps if step_size is None else step_size
        step, mean, square = 0, np.zeros(search.base.shape), np.zeros(search.base.shape)

        def update(slopes: np.ndarray, v: Floats) -> np.ndarray:
            nonlocal step, mean, square
            step += 1
            g = np.tensordot(slopes, v, axes=1) / len(v)
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
            return np.asarray(size * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-12))

        return update

    return _climb(search, steps, samples, delta, coins, adam)


Update = Callable[[np.ndarray, Floats], np.ndarray]
"""The step to take, given the slope along each of N directions, and the directions."""


def _climb(
    search: Search,
    steps: int,
    samples: int,
    reach: float,
    draw: Callable[[tuple[int, ...]], Floats],
    begin: Callable[[float], Update],
) -> Result:
    """Take ``steps`` steps in each ball until an image fools; ``begin`` gives the update rule for a ball's radius.

    Each step draws ``samples`` / 2 directions, and measures the slope along each by two images, ``reach`` either way.
    """
    with search:
        search.look(search.base[None])
        for radius in radii(search):
            x, update = search.base[None], begin(radius)
            for _ in range(steps):
                u = draw((max(samples // 2, 1), *search.base.shape))
                pairs = np.concatenate([x + reach * u, x - reach * u])
                search.spend(len(pairs))
                gain = gains(search, search.net.probabilities(pairs))
                slopes = (gain[: len(u)] - gain[len(u) :]) / (2 * reach)
                x = into_ball(search, (x + update(slopes, u)).astype(np.float32), radius)
                search.steps += 1
                if bool(search.criterion.met(search.look(x), MARGIN)[0]):
                    break
        shorten(search)
    return search.result()
