"""Fooling images by evolution: from nothing like the class to a picture that the net is sure of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from foolcaffe.attacks.base import Budget, Criterion, Floats, Result, Scores
from foolcaffe.attacks.search import Search, Spent, attack
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import BgrPixels

ENCODINGS = ("direct", "pattern")
TOGETHER = 64
"""Children a generation."""
HIDDEN, FUNCTIONS = 6, (np.sin, np.tanh, np.abs, lambda v: np.exp(-v * v), lambda v: v, np.cos)
"""A pattern network: two hidden layers of as many units, each unit with a function of its own."""


@dataclass(frozen=True)
class Elite:
    """The best image for one class so far: 8-bit, BGR, with the net's confidence in the class."""

    image: BgrPixels
    confidence: float


@attack()
def evolve(search: Search, *, encoding: str = "pattern", steps: int = 300, seed: int) -> Result:
    """An image for one class by :func:`evolve_many`; ``start`` is where a direct encoding begins.

    Args:
        start: of its size; distances are from it.
        criterion: target and confidence if any.
        encoding: ``direct`` (each value is a gene) or ``pattern`` (a small network paints the image).
        steps: generations at most.

    Raises:
        FoolCaffeError: no target, an unknown encoding; or as :class:`Search`.
    """
    target = search.criterion.target
    if target is None:
        raise FoolCaffeError("evolve needs a target", "the class that is to be seen")
    with search:
        for elites in generations(search, [target], encoding, steps, seed):
            search.steps += 1
            search.look(elites[target].image.array[None])
            if search.found is not None:
                break
    return search.result()


def evolve_many(
    net: Scores,
    targets: Sequence[int],
    *,
    encoding: str = "pattern",
    steps: int = 300,
    confidence: float = 0.99,
    budget: Budget | None = None,
    seed: int = 0,
) -> dict[int, Elite]:
    """One archive of champions, one a class; each child may become the champion of any class (MAP-Elites).

    Nguyen, Yosinski and Clune 2015, section 2.2: images that win one class seed others. Ends when every class is as
    sure as ``confidence``.

    Differs from the paper in: mutations are Gaussian, not polynomial, on BGR, not HSV, at rates drawn anew for each
    child; the pattern network has a fixed shape, where the paper's grows by NEAT; one child in four has two parents.

    Args:
        net: anything that gives scores.
        targets: the classes.
        encoding: ``direct`` or ``pattern``.
        steps: generations of 64 children at most.
        confidence: what is enough.
        budget: when to end in any case.
        seed: of every draw.

    Returns:
        For each target the best found, whether sure enough or not.

    Raises:
        FoolCaffeError: an unknown encoding, no targets, or one out of range.
    """
    for target in targets:
        Criterion(target, confidence).check(net.classes)
    grey = np.full(net.shape, 128, np.float32)
    blank = BgrPixels(grey).to_rgb8()
    search = Search(net, blank, Criterion(targets[0]) if targets else Criterion(0), budget=budget)
    elites: dict[int, Elite] = {}
    try:
        for elites in generations(search, list(targets), encoding, steps, seed):
            search.steps += 1
            search.best = float(np.mean([e.confidence for e in elites.values()]))
            if min(e.confidence for e in elites.values()) >= confidence:
                break
    except Spent:
        pass
    return elites


def generations(search: Search, targets: list[int], encoding: str, steps: int, seed: int) -> Iterator[dict[int, Elite]]:
    """Yield the archive, target → :class:`Elite`, after each generation (the same dict, brought up to date).

    Raises:
        Spent: the budget does not allow the next one.
        FoolCaffeError: an unknown encoding, or no targets.
    """
    if encoding not in ENCODINGS:
        raise FoolCaffeError(f"unknown encoding {encoding!r}", f"encodings: {', '.join(ENCODINGS)}")
    if not targets:
        raise FoolCaffeError("no targets were given", "at least one class was expected")
    rng = np.random.default_rng(seed)
    genes: dict[int, np.ndarray] = {}
    elites: dict[int, Elite] = {}
    _, height, width = search.base.shape
    for _ in range(steps):
        children = []
        for _ in range(TOGETHER):
            if not genes:
                children.append(_first(rng, encoding, search.base))
            else:
                parent = genes[targets[int(rng.integers(len(targets)))]]
                mate = genes[targets[int(rng.integers(len(targets)))]]
                children.append(_child(rng, encoding, parent, mate))
        images = np.stack([child if encoding == "direct" else paint(child, height, width) for child in children])
        images = search.levels(images.astype(np.float32))
        search.spend(len(images))
        probabilities = search.net.probabilities(images)
        for target in targets:
            i = int(probabilities[:, target].argmax())
            if target not in elites or probabilities[i, target] > elites[target].confidence:
                elites[target] = Elite(BgrPixels(images[i]), float(probabilities[i, target]))
                genes[target] = children[i]
        yield elites


def _first(rng: np.random.Generator, encoding: str, base: Floats) -> np.ndarray:
    if encoding == "direct":
        return np.where(rng.random(base.shape) < 0.1, rng.uniform(0, 255, base.shape), base)
    return rng.standard_normal(6 * HIDDEN + HIDDEN * HIDDEN + 3 * HIDDEN + 2 * HIDDEN)


def _child(rng: np.random.Generator, encoding: str, parent: np.ndarray, mate: np.ndarray) -> np.ndarray:
    """Mutated; one child in four is crossed with another champion first."""
    child = np.where(rng.random(parent.shape) < 0.5, mate, parent) if rng.random() < 0.25 else parent.copy()
    rate = 10 ** rng.uniform(-2.5, -0.7)
    touched = rng.random(child.shape) < rate
    scale = 40.0 if encoding == "direct" else 0.7
    child = child + touched * rng.standard_normal(child.shape) * scale
    return np.clip(child, 0, 255) if encoding == "direct" else child


def paint(genes: np.ndarray, height: int, width: int) -> np.ndarray:
    """A pattern-producing network (Stanley 2007): place in, colour out; 3 × height × width, 0..255.

    Inputs x, y, the radius, sin 8x, sin 8y, 1; two hidden layers whose units have functions of their own, chosen by a
    gene each; so the picture has symmetries and repetitions.
    """
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    layer = np.stack([x, y, np.hypot(x, y), np.sin(8 * x), np.sin(8 * y), np.ones_like(x)]).reshape(6, -1)
    first, rest = genes[: 6 * HIDDEN].reshape(HIDDEN, 6), genes[6 * HIDDEN :]
    second, rest = rest[: HIDDEN * HIDDEN].reshape(HIDDEN, HIDDEN), rest[HIDDEN * HIDDEN :]
    last, choices = rest[: 3 * HIDDEN].reshape(3, HIDDEN), rest[3 * HIDDEN :].reshape(2, HIDDEN)
    for weights, kinds in ((first, choices[0]), (second, choices[1])):
        sums = weights @ layer
        layer = np.stack([FUNCTIONS[int(abs(kind) * 3) % len(FUNCTIONS)](row) for kind, row in zip(kinds, sums)])
    colours = 127.5 + 127.5 * np.tanh(last @ layer)
    return np.asarray(colours.reshape(3, height, width))
