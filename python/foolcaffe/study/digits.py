"""Digits that come inside scikit-learn, where binarization suits: a linear net, a binarized one, an RBF network.

Attacks here change the grey of 8 × 8 pixels by at most ε levels. On the linear net and on the binarized one the worst
such change is computed exactly; on the RBF network it is sought by projected gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from foolcaffe.datums import Record
from foolcaffe.files import write_text
from foolcaffe.net import Classifier
from foolcaffe.study.views import building, write_lmdb

SIDE, CLASSES, TRAINING = 8, 10, 1297
THRESHOLD = 127.5
CENTRES = 300
STEPS, RESTARTS = 40, 3
Grey = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def digits() -> tuple[Grey, Labels]:
    """1,797 digits: N × 64, whole grey levels 0..255, and their labels; the first 1,297 are for training."""
    found = load_digits()
    return np.rint(found.data * 255 / 16), found.target.astype(np.int64)


def binarized(grey: Grey) -> Grey:
    """Black or white."""
    return np.where(grey > THRESHOLD, 255.0, 0.0)


def view(folder: Path, binary: bool) -> Path:
    """The digits as a dataset for Caffe: the same grey in all three channels."""
    grey, labels = digits()
    grey = binarized(grey) if binary else grey

    def records(begin: int, end: int) -> Iterator[Record]:
        for i in range(begin, end):
            pixels = np.repeat(grey[i].reshape(1, SIDE, SIDE), 3, axis=0).astype(np.uint8)
            yield Record(f"{i:08d}_{labels[i]}", int(labels[i]), pixels)

    with building(folder) as aside:
        if aside is not None:
            write_text(aside / "synset_words.txt", "".join(f"d{c} digit {c}\n" for c in range(CLASSES)))
            write_lmdb(aside / "train_lmdb", records(0, TRAINING))
            write_lmdb(aside / "val_lmdb", records(TRAINING, len(grey)))
    return folder


@dataclass(frozen=True)
class Linear:
    """A linear net on grey pixels: ``scores = grey @ rows.T + offsets``, its three channels added up."""

    rows: Grey
    offsets: npt.NDArray[np.float64]

    @classmethod
    def of(cls, net: Classifier) -> Linear:
        """The weights that Caffe trained."""
        rows = net.score_weights().astype(np.float64).sum(axis=1).reshape(net.classes, -1)
        return cls(rows, net.score_offsets())

    def scores(self, grey: Grey) -> Grey:
        """N × classes."""
        return np.asarray(grey @ self.rows.T + self.offsets)


def worst_linear(net: Linear, grey: Grey, labels: Labels, eps: float) -> Grey:
    """The worst images within ε and 0..255: a rival's best change is a corner of the box; the best rival wins."""
    low, high = np.maximum(grey - eps, 0), np.minimum(grey + eps, 255)
    return _worst(net, labels, low, high, lambda images: images)


def worst_binarized(net: Linear, grey: Grey, labels: Labels, eps: float) -> Grey:
    """The worst for a net behind binarization: a pixel within ε of the threshold can be made black or white."""
    low, high = np.maximum(grey - eps, 0), np.minimum(grey + eps, 255)
    return _worst(net, labels, low, high, binarized)


def _worst(net: Linear, labels: Labels, low: Grey, high: Grey, see: Callable[[Grey], Grey]) -> Grey:
    best = np.full(len(low), -np.inf)
    out = low.copy()
    for rival in range(len(net.rows)):
        up = (net.rows[rival] - net.rows[labels]) > 0
        images = np.where(up, high, low)
        scores = net.scores(see(images))
        lead = scores[:, rival] - scores[np.arange(len(labels)), labels]
        better = (lead > best) & (labels != rival)
        best[better], out[better] = lead[better], images[better]
    return np.asarray(out)


class RbfNetwork:
    """Gaussian bumps around centres, then a softmax: the kind of network of Goodfellow et al. 2015, section 7.

    The centres are k-means'; exp(−γ d²) has γ = 1 / the median squared distance to the second nearest centre. What is
    far from all of them has no bumps, and gets the biases alone.
    """

    def __init__(self, grey: Grey, labels: Labels, seed: int) -> None:
        self.centres = KMeans(CENTRES, n_init=1, random_state=seed).fit(grey).cluster_centers_
        distances = self._distances(grey)
        self.gamma = 1 / float(np.median(np.sort(distances, axis=1)[:, 1]))
        self.softmax = LogisticRegression(C=100.0, max_iter=2000).fit(np.exp(-self.gamma * distances), labels)

    def _distances(self, grey: Grey) -> Grey:
        cross = grey @ self.centres.T
        return np.asarray(np.maximum((grey**2).sum(1)[:, None] - 2 * cross + (self.centres**2).sum(1), 0))

    def probabilities(self, grey: Grey) -> Grey:
        """N × classes."""
        return np.asarray(self.softmax.predict_proba(np.exp(-self.gamma * self._distances(grey))))

    def gradients(self, grey: Grey, labels: Labels) -> Grey:
        """Of the best other class's score less the label's: it does not vanish where the softmax saturates."""
        bumps = np.exp(-self.gamma * self._distances(grey))
        scores = bumps @ self.softmax.coef_.T + self.softmax.intercept_
        scores[np.arange(len(labels)), labels] = -np.inf
        pull = (self.softmax.coef_[scores.argmax(axis=1)] - self.softmax.coef_[labels]) * bumps * -2 * self.gamma
        return np.asarray(pull.sum(axis=1)[:, None] * grey - pull @ self.centres)


def worst_rbf(net: RbfNetwork, grey: Grey, labels: Labels, eps: float, rng: np.random.Generator) -> Grey:
    """Projected gradients, several restarts; the image least sure of its label is kept. Whole grey levels."""
    low, high = np.maximum(grey - eps, 0), np.minimum(grey + eps, 255)
    out, least = grey.copy(), np.full(len(grey), np.inf)
    every = np.arange(len(labels))
    for restart in range(RESTARTS):
        x = grey.copy() if restart == 0 else np.clip(grey + rng.uniform(-eps, eps, grey.shape), low, high)
        for _ in range(STEPS):
            x = np.clip(x + 2.5 * eps / STEPS * np.sign(net.gradients(x, labels)), low, high)
            whole = np.rint(x)
            p = net.probabilities(whole)
            lead = p[every, labels] - np.where(np.eye(CLASSES, dtype=bool)[labels], 0, p).max(axis=1)
            better = lead < least
            least[better], out[better] = lead[better], whole[better]
    return np.asarray(out)
