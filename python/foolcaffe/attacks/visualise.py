"""What a class looks like to the net: gradient ascent under a natural-image prior."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from foolcaffe.attacks.base import Floats, Result
from foolcaffe.attacks.search import Search, attack
from foolcaffe.errors import FoolCaffeError

PRIORS = ("blur", "tv", "none")


@attack()
def visualise(
    search: Search, *, steps: int = 200, step_size: float = 2.0, prior: str = "blur", jitter: int = 4, seed: int
) -> Result:
    """Raise the target's score, and after each step make neighbouring pixels alike.

    "They specify that the output image should look like a natural image (eg by having neighbouring pixels be
    correlated)" (Mordvintsev, Olah and Tyka 2015, "Inceptionism"). The image is shifted by up to ``jitter`` pixels
    before each gradient (their deepdream code does so), and smoothed by a Gaussian whose width falls to nothing
    (Yosinski et al. 2015, section 4), or by a step down its total variation (Mahendran and Vedaldi 2015, section 3).

    Unlike the attacks it does not stay near the start, nor stop at the first success: the result is the last image.

    Args:
        start: grey, noise or a photograph.
        criterion: target.
        steps: gradient steps.
        step_size: mean absolute change of a step, in grey levels.
        prior: ``blur``, ``tv`` or ``none``.
        jitter: pixels.

    Raises:
        FoolCaffeError: no target, an unknown prior, an all-zero gradient; or as :class:`Search`.
    """
    if search.criterion.target is None:
        raise FoolCaffeError("visualise needs a target", "the class that is to be seen")
    if prior not in PRIORS:
        raise FoolCaffeError(f"unknown prior {prior!r}", f"priors: {', '.join(PRIORS)}")
    rng = np.random.default_rng(seed)
    one_hot = np.zeros((1, search.net.classes), np.float32)
    one_hot[0, search.criterion.target] = 1
    x = search.base.copy()
    with search:
        for step in range(steps):
            shift = rng.integers(-jitter, jitter + 1, 2)
            search.spend(1)
            moved = np.roll(x, tuple(shift), axis=(1, 2))
            gradient = search.gradients.data_gradients(moved[None], one_hot)
            search.steps += 1
            search.check_gradient(gradient)
            g = np.roll(gradient[0], tuple(-shift), axis=(1, 2))
            x = x + step_size * g / max(float(np.abs(g).mean()), 1e-30)
            left = 1 - step / steps
            if prior == "blur":
                x = gaussian_filter(x, sigma=(0, 0.6 * left, 0.6 * left), mode="nearest")
            elif prior == "tv":
                x = x - 0.5 * step_size * np.sign(_roughness(x))
            x = search.project(x[None].astype(np.float32))[0]
            if step % 10 == 0 or step == steps - 1:
                search.look(x[None])
    return search.result(last=x)


def _roughness(x: Floats) -> Floats:
    """The gradient of the total variation Σ |x_i − x_j| over neighbours."""
    out = np.zeros_like(x)
    for axis in (1, 2):
        signs = np.sign(np.diff(x, axis=axis))
        edge = [(0, 0), (0, 0), (0, 0)]
        edge[axis] = (1, 1)
        padded = np.pad(signs, edge)
        out += np.diff(-padded, axis=axis)
    return out
