"""The data gradient by finite differences, for who has only the scores; then the post's method along it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foolcaffe.attacks.base import Budget, Criterion, Floats, Result, Scores
from foolcaffe.attacks.radii import SOFT, gains
from foolcaffe.attacks.ray import walk
from foolcaffe.attacks.search import BOUNDS, Search
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import Rgb8

TOGETHER = 256
"""Changed images scored at once."""


def numeric(net: Scores, start: Rgb8, criterion: Criterion, *, eps: float | None = None, norm: str = "l2", step_size: float = 1.0,
            block: int = 1, bounds: tuple[float, float] = BOUNDS, budget: Budget | None = None, seed: int = 0) -> Result:
    """Change one value at a time by ``± step_size``, look at the scores, and go along the differences.

    Karpathy 2015: "it is possible to compute the data gradient numerically". Two images a value: 24,576 for 64 × 64 × 3.
    ``block`` × ``block`` pixels of a channel can be changed together, for a coarser gradient of fewer queries.

    Args:
        net: anything that gives scores.
        start: of its size.
        criterion: target and confidence if any, or label.
        eps, norm: largest norm of the change, in grey levels.
        step_size: h, in grey levels: 1 is the smallest that an 8-bit image can show; classifiers that vote need more.
        block: side of the squares that are changed together.
        bounds: grey levels that may be used.
        budget: when to end in any case.
        seed: not used: nothing is drawn.

    Raises:
        FoolCaffeError: no change of that size changes any score; or as :class:`Search`.
    """
    if not step_size > 0 or block < 1:
        raise FoolCaffeError(f"step_size {step_size:g}, block {block} are out of range", "expected more than 0, and 1 or more")
    search = Search(net, start, criterion, eps=eps, norm=norm, bounds=bounds, budget=budget)
    gradient = np.zeros_like(search.base)
    factor, trajectory = 0.0, [(0.0, 0.0)]
    with search:
        _, height, width = gradient.shape
        corners = [(c, i, j) for c in range(3) for i in range(0, height, block) for j in range(0, width, block)]
        for begin in range(0, len(corners), TOGETHER // 2):
            part = corners[begin : begin + TOGETHER // 2]
            changed = np.repeat(search.base[None], 2 * len(part), axis=0)
            for n, (c, i, j) in enumerate(part):
                changed[2 * n, c, i : i + block, j : j + block] += step_size
                changed[2 * n + 1, c, i : i + block, j : j + block] -= step_size
            changed = np.clip(changed, *bounds)  # at black and white the difference is one-sided
            search.spend(len(changed))
            probabilities = net.probabilities(changed)
            # the wanted class alone, as the gradient method: rivals overtake one another along the way
            gain = gains(search, probabilities) if criterion.target is None else np.log(probabilities[:, criterion.target] + SOFT)
            for n, (c, i, j) in enumerate(part):
                square = (c, slice(i, i + block), slice(j, j + block))
                apart = float((changed[2 * n][square] - changed[2 * n + 1][square]).mean())
                gradient[square] = (gain[2 * n] - gain[2 * n + 1]) / max(apart, 1e-6)
        search.steps = 1
        if not gradient.any():
            raise FoolCaffeError(f"no change of {step_size:g} grey levels in a {block} × {block} square changes any score",
                                 "a classifier that votes is flat at small scales: a larger step_size or block, or local or square")
        factor, trajectory = walk(search, gradient)
    result = search.result()
    return replace(result, factor=factor, direction=gradient if gradient.any() else None, trajectory=trajectory)


def numeric_gradient(net: Scores, image: Floats, weights: Floats, step_size: float = 1.0) -> Floats:
    """The gradient of ``weights · probabilities`` at one image, 3 × height × width, by central differences, unclipped."""
    gradient = np.zeros(image.size)
    for begin in range(0, image.size, TOGETHER):
        index = np.arange(begin, min(begin + TOGETHER, image.size))
        up = np.repeat(image.reshape(1, -1), len(index), axis=0)
        down = up.copy()
        up[np.arange(len(index)), index] += step_size
        down[np.arange(len(index)), index] -= step_size
        stack = np.concatenate([up, down]).reshape(-1, *image.shape)
        values = net.probabilities(stack).astype(np.float64) @ weights
        gradient[index] = (values[: len(index)] - values[len(index) :]) / (2 * step_size)
    return np.asarray(gradient.reshape(image.shape), np.float32)
