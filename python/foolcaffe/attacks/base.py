"""What every attack takes and gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Union

import numpy as np
import numpy.typing as npt

from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import BgrPixels, Rgb8

Batch = Union[BgrPixels, npt.NDArray[np.float32]]
Floats = npt.NDArray[np.float32]
NORMS = ("l2", "linf")
MARGIN = 1e-4
"""What a search goes beyond the criterion, in nats: float32 sums differ by some 1e-5 between a batch and a single
image, between machines and between engines, and a fooling image shall fool all of them."""


class Scores(Protocol):
    """Anything that gives scores: all that a black-box attack needs. :class:`foolcaffe.classifier.Classifier` is one.

    Attributes:
        shape: of one input image: 3, height, width.
        classes: how many there are.
        queries: images scored so far.
    """

    shape: tuple[int, int, int]
    classes: int
    queries: int

    def probabilities(self, images: Batch) -> Floats:
        """Images × classes, rows sum to 1; ``images`` is one, or N × 3 × height × width, BGR, 0..255."""


class Gradients(Scores, Protocol):
    """Scores with a data gradient, by Caffe's backward pass."""

    def scores(self, images: Batch) -> Floats:
        """Images × classes, before the softmax."""

    def data_gradients(self, images: Batch, score_diffs: Floats) -> Floats:
        """For each image the gradient of Σ score_diffs · scores on its pixels."""


@dataclass(frozen=True)
class Criterion:
    """When the net counts as fooled.

    Targeted: ``target`` is the best class, and if ``confidence`` is set, at least that sure. Untargeted (``target`` is
    None): ``label`` is not the best class. A tie for the best is no success, either way.

    Raises:
        FoolCaffeError: a confidence outside 0..1, neither target nor label, a target equal to the label, or a
            confidence without a target.
    """

    target: int | None = None
    confidence: float | None = None
    label: int | None = None

    def __post_init__(self) -> None:
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise FoolCaffeError(
                f"confidence {self.confidence} is out of range", "expected more than 0 and less than 1, as 0.99"
            )
        if self.target is None and self.label is None:
            raise FoolCaffeError(
                "neither a target nor a label was given",
                "target: the class to be seen; label: the class not to be seen",
            )
        if self.target is not None and self.target == self.label:
            raise FoolCaffeError(
                f"the target {self.target} is the label itself: there is nothing to fool", "choose another target"
            )
        if self.target is None and self.confidence is not None:
            raise FoolCaffeError(
                "a confidence needs a target", "without one, the attack ends when the label is not the best class"
            )

    def check(self, classes: int) -> None:
        """Check that the net has the target and the label.

        Raises:
            FoolCaffeError: if a class is out of range.
        """
        for name, index in (("target", self.target), ("label", self.label)):
            if index is not None and not 0 <= index < classes:
                raise FoolCaffeError(
                    f"{name} {index} is out of range: the net has {classes} classes", f"expected 0..{classes - 1}"
                )

    @property
    def sought(self) -> int:
        """The class that decides: the target, or the label that is to be left."""
        return self.target if self.target is not None else int(self.label or 0)

    def met(self, probabilities: Floats, margin: float = 0.0) -> npt.NDArray[np.bool_]:
        """For each row of probabilities, whether it is fooled.

        Args:
            probabilities: images × classes.
            margin: by how much more, in nats of log odds. A search asks for :data:`MARGIN`; who judges asks for none.
        """
        own = probabilities[:, self.sought]
        others = np.delete(probabilities, self.sought, axis=1).max(axis=1, initial=0.0)
        if self.target is None:
            return np.asarray(others > own * (1 + margin))
        met: npt.NDArray[np.bool_] = own > others * (1 + margin)
        if self.confidence is not None:
            met &= own >= self.confidence + margin * self.confidence * (1 - self.confidence)
        return met

    def confidences(self, probabilities: Floats) -> Floats:
        """For each row, how far it is: the target's probability; untargeted, that of the best class but the label."""
        if self.target is None:
            return np.asarray(np.delete(probabilities, self.sought, axis=1).max(axis=1, initial=0.0))
        return np.asarray(probabilities[:, self.target])

    def margins(self, probabilities: Floats) -> npt.NDArray[np.float64]:
        """For each row, how far the criterion is met, as a difference of log probabilities; positive when it is."""
        logs = np.log(np.maximum(probabilities.astype(np.float64), 1e-30))
        own = logs[:, self.sought]
        others = np.delete(logs, self.sought, axis=1).max(axis=1, initial=-70.0)
        if self.target is None:
            return np.asarray(others - own)
        margin = own - others
        if self.confidence is not None:
            margin = np.minimum(margin, own - np.log(self.confidence))
        return np.asarray(margin)

    def entropy_diffs(self, probabilities: Floats) -> Floats:
        """Return the direction that lowers the target's cross entropy, or raises the label's, as weights of the scores.

        That is ±(onehot − p), images × classes, divided by 1 − p of the class sought, so that its share is ±1 and
        nothing is lost when the softmax saturates: only the direction is meant.
        """
        others = probabilities.astype(np.float64)
        others[:, self.sought] = 0
        diffs = -others / np.maximum(others.sum(axis=1, keepdims=True), 1e-300)
        diffs[:, self.sought] = 1
        return np.asarray(diffs if self.target is not None else -diffs, np.float32)

    def score_diffs(self, probabilities: Floats) -> Floats:
        """What an iterated attack raises, as weights of the scores: images × classes.

        Targeted: the gradient of log p_target, onehot − p. Untargeted: the best other class's score less the label's
        (Carlini and Wagner 2017, section 5, f6), which does not vanish when the softmax saturates.
        """
        if self.target is not None:
            diffs = -probabilities.astype(np.float32)
            diffs[:, self.target] += 1
            return diffs
        others = probabilities.copy()
        others[:, self.sought] = -1
        diffs = np.zeros_like(probabilities, dtype=np.float32)
        diffs[np.arange(len(diffs)), others.argmax(axis=1)] = 1
        diffs[:, self.sought] = -1
        return diffs


@dataclass(frozen=True)
class Distances:
    """Size of a perturbation in grey levels over all pixels and channels: L2 norm, largest, mean absolute."""

    l2: float
    linf: float
    mean: float

    @classmethod
    def between(cls, a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> Distances:
        """Measure the distances of two images of one shape."""
        delta = a.astype(np.float64) - b.astype(np.float64)
        return cls(float(np.linalg.norm(delta)), float(np.abs(delta).max()), float(np.abs(delta).mean()))


@dataclass(frozen=True)
class Certificate:
    """What is proved about the smallest change that fools a linear net; norms in grey levels.

    Attributes:
        norm: ``l2`` or ``linf``.
        floats: no image of real numbers nearer than this fools.
        png: no 8-bit image nearer than this fools. Infinite if none fools at all.
        reached: the norm of the raw result; it fools, so the optimum lies between ``floats`` and this. Infinite if
            none was found.
    """

    norm: str
    floats: float
    png: float
    reached: float

    @property
    def gap(self) -> float:
        """How far the raw result may be from the optimum, relative."""
        return self.reached / self.floats - 1 if self.floats > 0 else np.inf


@dataclass(frozen=True)
class Result:
    """What an attack found.

    Attributes:
        start: the image it began with.
        raw: start plus perturbation, float32 BGR, before clipping.
        image: clipped to 0..255 and rounded: what a PNG holds.
        success: of ``raw``, ``clipped`` and ``image``, by the criterion.
        factor: what the direction was multiplied by, or None for a method that has none.
        direction: the direction, float32 BGR, or None.
        steps: gradients taken.
        queries: images that the net has scored for it, forward passes and gradients alike; not the three by which
            ``success`` is judged.
        first: of these, up to the first success; the rest made the change smaller. None without a success.
        trajectory: (factor or step, confidence in the target) along the way, on 8-bit images.
        best: the highest confidence in the target met anywhere; how near a failed attack came.
        certificate: what is proved about the optimum, by the exact attack.
        note: why it ended, where that is not plain: a budget spent, a proof that there is no solution.
    """

    start: Rgb8
    raw: BgrPixels
    image: Rgb8
    success: dict[str, bool]
    factor: float | None = None
    direction: Floats | None = None
    steps: int = 1
    queries: int = 0
    first: int | None = None
    trajectory: list[tuple[float, float]] = field(default_factory=list)
    best: float = 0.0
    certificate: Certificate | None = None
    note: str = ""

    @property
    def added(self) -> Floats:
        """The direction, or the whole change of the 8-bit image for a method that has none; float32 BGR."""
        if self.direction is not None:
            return self.direction
        return self.image.to_bgr().array - self.start.to_bgr().array

    @property
    def distances(self) -> Distances:
        """The distances of the 8-bit image from the start."""
        return Distances.between(self.image.array, self.start.array)


@dataclass(frozen=True)
class Budget:
    """When an attack has to end, found or not.

    Attributes:
        queries: images scored, forward passes and gradients alike.
        seconds: of wall time.
        tell: called again and again with the queries done and the highest confidence so far, for a sign of life.

    Raises:
        FoolCaffeError: no queries at all, or a time that is negative or no number.
    """

    queries: int | None = None
    seconds: float | None = None
    tell: Callable[[int, float], None] | None = None

    def __post_init__(self) -> None:
        if self.queries is not None and self.queries < 1:
            raise FoolCaffeError(f"a budget of {self.queries} queries is out of range", "expected 1 or more")
        if self.seconds is not None and not self.seconds >= 0:
            raise FoolCaffeError(f"a budget of {self.seconds:g} seconds is out of range", "expected 0 or more")


Attack = Callable[..., Result]
"""An attack searches for the smallest perturbation whose 8-bit image meets the criterion.

Every attack is called as ``attack(net, start, criterion, *, seed=0, bounds=(0, 255), budget=None, …)``:

- ``net``: a classifier; black-box attacks take anything that gives scores.
- ``start``: an 8-bit image of the net's size.
- ``criterion``: a target class, with a confidence or without one; or a label, for an untargeted attack.
- ``bounds``: the lowest and the highest grey level that may be used, within 0..255.
- ``budget``: when the search ends, whether it has found something or not.
- ``seed``: of all random draws; an attack that draws nothing ignores it.

Most also take ``eps`` (the largest norm of the change, in grey levels), ``norm`` ("l2" or "linf"), ``steps``, and
``step_size`` (grey levels). An attack raises FoolCaffeError if it cannot begin, for example because of an all-zero
gradient or as :class:`~foolcaffe.attacks.search.Search` does; a search that fails returns a result without success.
"""


def judge(net: Scores, raw: BgrPixels, criterion: Criterion, image: Rgb8 | None = None) -> dict[str, bool]:
    """Success of the raw, the clipped and the 8-bit image (the rounded raw one, unless given)."""
    levels = (image or raw.to_rgb8()).to_bgr()
    met = criterion.met(net.probabilities(np.stack([raw.array, raw.clipped().array, levels.array])))
    return {"raw": bool(met[0]), "clipped": bool(met[1]), "image": bool(met[2])}


def within(delta: npt.NDArray[Any], radius: float | npt.NDArray[np.float64], norm: str) -> npt.NDArray[Any]:
    """N perturbations drawn back into L2 or L∞ balls of one radius, or of N × 1 × 1 × 1 radii, in grey levels."""
    if norm == "linf":
        return np.asarray(np.clip(delta, -radius, radius))
    return np.asarray(delta * np.minimum(1.0, radius / np.maximum(norm_of(delta, norm), 1e-30)[:, None, None, None]))


def norm_of(delta: npt.NDArray[Any], norm: str) -> npt.NDArray[np.float64]:
    """L2 or L∞ norm of each of N × … perturbations."""
    flat = delta.reshape(len(delta), int(np.prod(delta.shape[1:]))).astype(np.float64)
    return np.asarray(np.linalg.norm(flat, axis=1) if norm == "l2" else np.abs(flat).max(axis=1, initial=0.0))
