"""What every attack takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import BgrPixels, Rgb8
from foolcaffe.net import Classifier


MARGIN = 1e-4
"""What a search goes beyond the criterion, in nats: float32 sums differ by some 1e-5 between a batch and a single image,
between machines and between engines, and a fooling image shall fool all of them."""


@dataclass(frozen=True)
class Criterion:
    """When the net counts as fooled: ``target`` is the best class, and if ``confidence`` is set, at least that sure.

    Raises:
        FoolCaffeError: a confidence outside 0..1.
    """

    target: int
    confidence: float | None = None

    def __post_init__(self) -> None:
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise FoolCaffeError(
                f"confidence {self.confidence} is out of range", "expected more than 0 and less than 1, as 0.99"
            )

    def met(self, probabilities: npt.NDArray[np.float32], margin: float = 0.0) -> npt.NDArray[np.bool_]:
        """For each row of probabilities (images × classes), whether it is fooled. A tie for the best is not.

        Args:
            probabilities: images × classes.
            margin: by how much more, in nats of log odds. A search asks for :data:`MARGIN`; who judges asks for none.
        """
        target = probabilities[:, self.target]
        others = np.delete(probabilities, self.target, axis=1)
        met: npt.NDArray[np.bool_] = target > others.max(axis=1, initial=0.0) * (1 + margin)
        if self.confidence is not None:
            met &= target >= self.confidence + margin * self.confidence * (1 - self.confidence)
        return met


@dataclass(frozen=True)
class Distances:
    """Size of a perturbation in grey levels over all pixels and channels: L2 norm, largest, mean absolute."""

    l2: float
    linf: float
    mean: float

    @classmethod
    def between(cls, a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> Distances:
        """Of two images of one shape."""
        delta = a.astype(np.float64) - b.astype(np.float64)
        return cls(float(np.linalg.norm(delta)), float(np.abs(delta).max()), float(np.abs(delta).mean()))


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
        queries: images that the net has scored for it.
        trajectory: (factor or step, confidence in the target) along the way, on 8-bit images.
        best: the highest confidence in the target met anywhere; how near a failed attack came.
    """

    start: Rgb8
    raw: BgrPixels
    image: Rgb8
    success: dict[str, bool]
    factor: float | None = None
    direction: npt.NDArray[np.float32] | None = None
    steps: int = 1
    queries: int = 0
    trajectory: list[tuple[float, float]] = field(default_factory=list)
    best: float = 0.0

    @property
    def distances(self) -> Distances:
        """Of the 8-bit image from the start."""
        return Distances.between(self.image.array, self.start.array)


class Attack(Protocol):
    """An attack: a function of net, start and criterion.

    Raises:
        FoolCaffeError: it cannot begin (an all-zero gradient, say). A search that fails gives a result without success.
    """

    def __call__(self, net: Classifier, start: Rgb8, criterion: Criterion, *, seed: int) -> Result:
        """Search for the smallest perturbation that meets the criterion as an 8-bit image."""


def judge(net: Classifier, raw: BgrPixels, criterion: Criterion) -> dict[str, bool]:
    """Success of the raw, the clipped and the 8-bit image."""
    stack = np.stack([raw.array, raw.clipped().array, raw.to_rgb8().to_bgr().array])
    met = criterion.met(net.probabilities(stack))
    return {"raw": bool(met[0]), "clipped": bool(met[1]), "image": bool(met[2])}
