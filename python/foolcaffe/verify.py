"""The independent verifier: reads the PNG from disk, and scores that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foolcaffe.attacks.base import Criterion, Distances
from foolcaffe.classifier import Classifier
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import Rgb8, read_image


@dataclass(frozen=True)
class Verdict:
    """``fooled`` by the criterion; ``probabilities`` (classes) and ``distances`` from the start, of the PNG on disk."""

    fooled: bool
    probabilities: npt.NDArray[np.float32]
    distances: Distances


def verify(net: Classifier, png: Path, start: Rgb8, criterion: Criterion) -> Verdict:
    """Score a PNG as anybody else would: from its file.

    Raises:
        FoolCaffeError: the file cannot be read, is not a PNG, or is not of the start's size.
    """
    with png.open("rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            raise FoolCaffeError(f"{png} is no PNG")
    image = read_image(png)
    if image.size != start.size:
        raise FoolCaffeError(
            f"{png} is {image.size[0]} × {image.size[1]} pixels, the start {start.size[0]} × {start.size[1]}"
        )
    probabilities = net.probabilities(image.to_bgr())
    return Verdict(bool(criterion.met(probabilities)[0]), probabilities[0], Distances.between(image.array, start.array))
