"""Many small gradient steps, each drawn back into the eps ball: BIM and PGD."""

from __future__ import annotations

import numpy as np

from foolcaffe.attacks.base import Floats, Result, norm_of, within
from foolcaffe.attacks.search import Search, attack

GROWTH = 1.5
"""Without an eps: the radius grows so much until the image fools,"""
HALVINGS = 5
"""and is then bisected so often."""


@attack("l2", "linf")
def iterated(
    search: Search, *, steps: int = 20, step_size: float | None = None, restarts: int = 1, seed: int
) -> Result:
    """``x ← project(x + step_size × direction(∇ log p_target))``, ``steps`` times, within ``eps`` of the start.

    The direction is the gradient's sign for L∞ (Kurakin, Goodfellow and Bengio 2016, section 2.2: BIM) and the gradient
    over its norm for L2; further restarts begin at a random place of the ball (Madry et al. 2018, section 2.1: PGD) and
    run together.

    Differs from the papers in: without an eps the smallest radius that fools is sought; it ends at the first PNG that
    fools; untargeted, the best other class's score less the label's is raised instead of the label's cross entropy,
    which vanishes when the softmax saturates.

    Args:
        norm: the ball's.
        eps: its radius in grey levels, or None for the smallest that fools.
        steps: gradient steps in a ball.
        step_size: grey levels; default: 2.5 eps / steps, so that every place of the ball can be reached.
        restarts: how many, the first from the start itself.

    Raises:
        FoolCaffeError: an all-zero gradient; or as :class:`Search`.
    """
    norm, eps = search.norm, search.eps
    rng = np.random.default_rng(seed)

    def fooled_within(radius: float) -> bool:
        size = 2.5 * radius / steps if step_size is None else step_size
        x = np.repeat(search.base[None], restarts, axis=0)
        x[1:] = into_ball(search, search.base + radius * _anywhere(rng, x[1:].shape, norm), radius)
        for _ in range(steps):
            _, gradients = search.ascent(x)
            x = into_ball(search, x + size * directions(gradients, norm), radius)
            search.look(x)
            if search.found is not None and search.found <= radius * (1 + 1e-6):
                return True
        return False

    with search:
        if eps is not None:
            if eps > 0:
                fooled_within(eps)
            else:
                search.look(search.base[None])
            return search.result()
        low, high = 0.0, 0.5 * (1.0 if norm == "linf" else float(np.sqrt(search.base.size)))
        limit = float(norm_of(np.maximum(search.high - search.base, search.base - search.low)[None], norm)[0])
        while not fooled_within(high) and high < limit:
            low, high = high, GROWTH * high
        for _ in range(HALVINGS if search.found is not None else 0):
            middle = (low + high) / 2
            low, high = (low, middle) if fooled_within(middle) else (middle, high)
    return search.result()


def _anywhere(rng: np.random.Generator, shape: tuple[int, ...], norm: str) -> Floats:
    """Uniformly in the unit ball."""
    if norm == "linf":
        return np.asarray(rng.uniform(-1, 1, shape), np.float32)
    lengths = rng.random((shape[0], 1, 1, 1)) ** (1 / np.prod(shape[1:]))
    return np.asarray(lengths * directions(rng.standard_normal(shape), norm), np.float32)


def directions(gradients: Floats | np.ndarray, norm: str) -> Floats:
    """The step that gains most for a gradient, of norm 1: its sign for L∞, itself over its length for L2."""
    if norm == "linf":
        return np.asarray(np.sign(gradients), np.float32)
    return np.asarray(gradients / np.maximum(norm_of(gradients, "l2"), 1e-30)[:, None, None, None], np.float32)


def into_ball(search: Search, x: Floats, radius: float) -> Floats:
    """N images drawn back to a radius around the start, and into the search's bounds."""
    return search.project((search.base + within(x - search.base, radius, search.norm)).astype(np.float32))
