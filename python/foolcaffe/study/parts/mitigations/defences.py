"""Defences in front of a net, as something that is attacked like a net: its gradient goes through the defence.

Blurring and cropping are linear on rows and columns; what they do to the gradient is their transpose. So an attack that
knows the defence is as easy to make as one on the bare net, and no defence wins by hiding its gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from foolcaffe.attacks.base import Batch, Floats
from foolcaffe.classifier import Classifier
from foolcaffe.images import BgrPixels

TINY = 1e-30


@dataclass(frozen=True)
class Look:
    """One way to look at an image: ``rows @ pixels @ columnsᵀ + noise``.

    Attributes:
        rows, columns: height × height and width × width; None leaves them as they are.
        noise: added, 3 × height × width, grey levels; None for none.
    """

    rows: Floats | None = None
    columns: Floats | None = None
    noise: Floats | None = None

    def see(self, images: Floats) -> Floats:
        """N × 3 × height × width as the net gets it."""
        out = images if self.rows is None else np.matmul(self.rows, images)
        out = out if self.columns is None else np.matmul(out, self.columns.T)
        return np.asarray(out if self.noise is None else out + self.noise, np.float32)

    def back(self, gradients: Floats) -> Floats:
        """A gradient at what the net gets, as one at the image."""
        out = gradients if self.rows is None else np.matmul(self.rows.T, gradients)
        return np.asarray(out if self.columns is None else np.matmul(out, self.columns), np.float32)


@dataclass
class Defended:
    """A net behind looks whose probabilities are averaged. Scores are the logarithms of the averages.

    Attributes:
        net: the bare net.
        looks: at least one.
        queries: images scored, each look counted once.
    """

    net: Classifier
    looks: list[Look]
    queries: int = field(default=0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image."""
        return self.net.shape

    @property
    def classes(self) -> int:
        """How many."""
        return self.net.classes

    def probabilities(self, images: Batch) -> Floats:
        """Averages over the looks: N × classes."""
        batch = images.array[None] if isinstance(images, BgrPixels) else images
        self.queries += len(batch)
        return np.asarray(np.mean([self.net.probabilities(look.see(batch)) for look in self.looks], axis=0), np.float32)

    def scores(self, images: Batch) -> Floats:
        """Their logarithms."""
        return np.asarray(np.log(np.maximum(self.probabilities(images), TINY)), np.float32)

    def data_gradients(self, images: Batch, score_diffs: Floats) -> Floats:
        """The gradient of Σ score_diffs · scores on the pixels: through the average, every softmax and every look."""
        batch = images.array[None] if isinstance(images, BgrPixels) else images
        seen = [look.see(batch) for look in self.looks]
        parts = [self.net.probabilities(s).astype(np.float64) for s in seen]
        weights = score_diffs / np.maximum(np.mean(parts, axis=0), TINY) / len(self.looks)
        total = np.zeros_like(batch, dtype=np.float32)
        for look, s, p in zip(self.looks, seen, parts):
            pull = p * weights
            diffs = pull - p * pull.sum(axis=1, keepdims=True)
            total += look.back(self.net.data_gradients(s, diffs.astype(np.float32)))
        self.queries += len(batch)
        return total


def blurring(size: int, sigma: float) -> Floats:
    """A Gaussian blur as a matrix; the edge pixel goes on outside."""
    return np.asarray(gaussian_filter1d(np.eye(size), sigma, axis=0, mode="nearest"), np.float32)


def cropping(size: int, begin: int, length: int) -> Floats:
    """Cut ``length`` pixels out from ``begin`` on and stretch them to ``size`` again, linearly, as a matrix."""
    places = begin + (np.arange(size) + 0.5) * length / size - 0.5
    places = np.clip(places, begin, begin + length - 1)
    left = np.minimum(np.floor(places).astype(int), size - 2)
    out = np.zeros((size, size), np.float32)
    out[np.arange(size), left] = 1 - (places - left)
    out[np.arange(size), left + 1] += places - left
    return out


def blurred(net: Classifier, sigma: float) -> Defended:
    """Blur, then classify."""
    _, height, width = net.shape
    return Defended(net, [Look(blurring(height, sigma), blurring(width, sigma))])


def noised(net: Classifier, sigma: float, draws: int, rng: np.random.Generator) -> Defended:
    """Average over draws of Gaussian noise."""
    return Defended(net, [Look(noise=rng.normal(0, sigma, net.shape).astype(np.float32)) for _ in range(draws)])


def cropped(net: Classifier, part: float) -> Defended:
    """Average over the four corners and the middle, each ``part`` of the side long."""
    _, height, width = net.shape
    places: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]] = []
    h, w = round(part * height), round(part * width)
    for i, j in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5)):
        places.append((cropping(height, int(i * (height - h)), h), cropping(width, int(j * (width - w)), w)))
    return Defended(net, [Look(rows, columns) for rows, columns in places])
