"""The data gradient by finite differences, where only scores are known; then the post's method along it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from foolcaffe.attacks.base import Floats, Result
from foolcaffe.attacks.radii import SOFT, gains
from foolcaffe.attacks.ray import along_ray
from foolcaffe.attacks.search import BOUNDS, Search, attack
from foolcaffe.errors import FoolCaffeError

TOGETHER = 256
"""Changed images scored at once."""


@attack("l2", "linf")
def numeric(search: Search, *, step_size: float = 1.0, block: int = 1) -> Result:
    """Change one value at a time by ``± step_size``, look at the scores, and go along the differences.

    Karpathy 2015: "it is possible to compute the data gradient numerically". Two images a value: 24,576 at 64 × 64 × 3.
    ``block`` × ``block`` pixels of a channel can be changed together, for a coarser gradient of fewer queries. What is
    differentiated is log p_target, as the scores before the softmax are not known; untargeted, the log odds against the
    label; both with a small share for every class, since a forest can say 0.

    Args:
        step_size: h, in grey levels: 1 is the smallest that an 8-bit image can show; classifiers that vote need more.
        block: side of the squares that are changed together.

    Raises:
        FoolCaffeError: no change of that size changes any score; or as :class:`Search`.
    """

    net, criterion = search.net, search.criterion

    def gain(images: Floats) -> npt.NDArray[np.float64]:
        search.spend(len(images))
        probabilities = net.probabilities(images)
        if criterion.target is None:
            return gains(search, probabilities)
        # the wanted class alone, as the gradient method: rivals overtake one another along the way
        return np.asarray(np.log(probabilities[:, criterion.target].astype(np.float64) + SOFT))

    def direction() -> Floats:
        found = differences(gain, search.base, step_size, block, search.bounds)
        if not found.any():
            raise FoolCaffeError(
                f"no change of {step_size:g} grey levels in a {block} × {block} square changes any score",
                "a classifier that votes is flat at small scales: a larger step_size or block, or local or square",
            )
        return found

    result = along_ray(search, direction)
    if result.direction is None:
        wanted = 2 * 3 * -(-search.base.shape[1] // block) * -(-search.base.shape[2] // block)
        result = replace(result, note=f"{result.note}; the gradient needs {wanted}: a larger block needs fewer")
    return result


def differences(
    value: Callable[[Floats], npt.NDArray[np.float64]],
    image: Floats,
    step_size: float,
    block: int = 1,
    bounds: tuple[float, float] = BOUNDS,
) -> Floats:
    """The gradient of a function by central differences; one-sided where the bounds are in the way.

    Args:
        value: N images, BGR, to N numbers.
        image: where, 3 × height × width.
        step_size: grey levels, either way.
        block: side of the squares of one channel that change together; they have one derivative, a value of all.
        bounds: grey levels that may be used.
    """
    _, height, width = image.shape
    places = [
        (c, slice(i, i + block), slice(j, j + block))
        for c in range(3)
        for i in range(0, height, block)
        for j in range(0, width, block)
    ]
    gradient = np.zeros_like(image)
    for begin in range(0, len(places), TOGETHER // 2):
        part = places[begin : begin + TOGETHER // 2]
        changed = np.repeat(image[None], 2 * len(part), axis=0)
        for n, place in enumerate(part):
            changed[2 * n][place] += step_size
            changed[2 * n + 1][place] -= step_size
        changed = np.clip(changed, *bounds)
        values = value(changed)
        for n, place in enumerate(part):
            apart = float((changed[2 * n][place] - changed[2 * n + 1][place]).mean())
            gradient[place] = (values[2 * n] - values[2 * n + 1]) / max(apart, 1e-6)
    return gradient
