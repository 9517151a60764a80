"""One perturbation for many images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foolcaffe.attacks.base import MARGIN, Budget, Criterion, Floats, Gradients, Scores, norm_of, within
from foolcaffe.attacks.iterated import directions
from foolcaffe.attacks.search import Search, Spent
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import Rgb8


@dataclass(frozen=True)
class Universal:
    """A perturbation in whole grey levels (3 × height × width, BGR), and which of the images it fools as PNGs.

    Attributes:
        delta: added to an image, then clipped to 0..255.
        fooled: for each image it was made from.
        queries: images scored.
    """

    delta: Floats
    fooled: list[bool]
    queries: int

    @property
    def rate(self) -> float:
        """The part of the images that it fools."""
        return float(np.mean(self.fooled)) if self.fooled else 0.0


def universal(
    net: Gradients,
    starts: Sequence[Rgb8],
    criteria: Sequence[Criterion],
    *,
    eps: float = 10.0,
    norm: str = "linf",
    steps: int = 50,
    step_size: float | None = None,
    budget: Budget | None = None,
    seed: int = 0,
) -> Universal:
    """Steps along the mean gradient of the images not yet fooled, each drawn back into the ball.

    The aim of Moosavi-Dezfooli et al. 2017, "Universal adversarial perturbations", by stochastic gradients as Shafahi
    et al. 2020 (algorithm 2) do it, instead of one DeepFool an image. With one target for all it is class-directed;
    with labels it is not.

    Args:
        net: the classifier.
        starts: images of its size.
        criteria: one for each image.
        eps, norm: the ball, in grey levels.
        steps: passes over all images.
        step_size: grey levels; default: eps / 5.
        budget: when to end in any case.
        seed: not used: nothing is drawn, all images are looked at in each step.

    Raises:
        FoolCaffeError: no images, or not a criterion for each; or as :class:`Search`.
    """
    if not starts or len(starts) != len(criteria):
        raise FoolCaffeError(f"{len(starts)} images and {len(criteria)} criteria: one for each image was expected")
    searches = [
        Search(net, start, criterion, eps=eps, norm=norm, budget=budget) for start, criterion in zip(starts, criteria)
    ]
    bases = np.stack([search.base for search in searches])
    before = net.queries
    delta, size = np.zeros_like(bases[0]), eps / 5 if step_size is None else step_size
    best, kept = [False] * len(bases), delta
    try:
        searches[0].spend(len(bases))
        best = fooled_by(net, bases, criteria, delta)
        for _ in range(steps):
            searches[0].spend(3 * len(bases))
            images = np.clip(bases + delta, 0, 255)
            probabilities = net.probabilities(images)
            left = [i for i in range(len(bases)) if not criteria[i].met(probabilities[i : i + 1], MARGIN)[0]]
            diffs = np.concatenate(
                [criteria[i].score_diffs(probabilities[i : i + 1]) for i in left or range(len(bases))]
            )
            mean = net.data_gradients(images[left or slice(None)], diffs).mean(axis=0)
            searches[0].check_gradient(mean)
            delta = within(delta + size * directions(mean[None], norm), eps, norm)[0].astype(np.float32)
            trial = whole(delta, eps, norm)
            now = fooled_by(net, bases, criteria, trial)
            if sum(now) > sum(best):
                best, kept = now, trial
            searches[0].best = sum(best) / len(best)
            if all(best):
                break
    except Spent:
        pass
    return Universal(kept, best, net.queries - before)


def fooled_by(net: Scores, bases: Floats, criteria: Sequence[Criterion], delta: Floats) -> list[bool]:
    """Which images a whole perturbation fools, clipped to 0..255."""
    probabilities = net.probabilities(np.clip(bases + delta, 0, 255).astype(np.float32))
    return [bool(criterion.met(probabilities[i : i + 1], MARGIN)[0]) for i, criterion in enumerate(criteria)]


def whole(delta: Floats, eps: float, norm: str) -> Floats:
    """Whole levels inside the ball: rounded, or cut where rounding would leave it."""
    rounded = np.rint(delta)
    return np.asarray(rounded if norm_of(rounded[None], norm)[0] <= eps else np.trunc(delta), np.float32)
