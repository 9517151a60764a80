"""Letters drawn with the fonts that come inside matplotlib: text, where binarization suits; and who reads them.

A linear net, the same behind binarization, an RBF network, and a ReLU network for comparison. Attacks here change the
grey of 24 × 24 pixels by at most ε levels. On the linear net and on the binarized one the worst such change is computed
exactly; on the others it is sought by projected gradients.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from caffefiles.datum import Record
from caffefiles.files import write_text
from foolcaffe.classifier import Classifier
from foolcaffe.study.closure import code_of
from foolcaffe.study.views import building, write_lmdb

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FACES = tuple(
    [f"DejaVu{face}" for face in ("Sans", "Sans-Bold", "Sans-Oblique", "SansMono", "Serif", "Serif-Bold")]
    + ["STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"]
)
SIDE, CLASSES, TRAINING, TEST = 24, len(LETTERS), 2600, 520
OVER = 4
"""Letters are drawn so many times larger, and averaged."""
SEED = 7
THRESHOLD = 127.5
CENTRES, HIDDEN = 300, 300
STEPS, RESTARTS = 40, 3
Grey = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@cache
def letters() -> tuple[Grey, Labels]:
    """3,120 capitals: N × 576, whole grey levels 0..255, and their labels; the first 2,600 are for training.

    Each has a face, a size, a place up to half a pixel off the middle, a paper of 200..255, an ink of 0..60, and noise
    of six grey levels, all drawn.
    """
    rng = np.random.default_rng(SEED)
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    labels = np.arange(TRAINING + TEST) % CLASSES
    grey = np.empty((len(labels), SIDE * SIDE))
    for row, label in zip(grey, labels):
        font = ImageFont.truetype(str(fonts / f"{rng.choice(FACES)}.ttf"), int(OVER * SIDE * rng.uniform(0.7, 0.95)))
        large = Image.new("L", (OVER * SIDE, OVER * SIDE))
        x, y = OVER * (SIDE / 2 + rng.uniform(-0.5, 0.5, 2))
        ImageDraw.Draw(large).text((x, y), LETTERS[label], font=font, fill=255, anchor="mm")
        ink = np.asarray(large.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64).reshape(-1) / 255
        paper, black = rng.uniform(200, 255), rng.uniform(0, 60)
        row[:] = np.clip(np.rint(paper + (black - paper) * ink + rng.normal(0, 6, ink.shape)), 0, 255)
    return grey, labels.astype(np.int64)


def binarized(grey: Grey) -> Grey:
    """Black or white."""
    return np.where(grey > THRESHOLD, 255.0, 0.0)


def view(folder: Path, binary: bool) -> Path:
    """The letters as a dataset for Caffe: the same grey in all three channels."""
    grey, labels = letters()
    grey = binarized(grey) if binary else grey

    def records(begin: int, end: int) -> Iterator[Record]:
        for i in range(begin, end):
            pixels = np.repeat(grey[i].reshape(1, SIDE, SIDE), 3, axis=0).astype(np.uint8)
            yield Record(f"{i:08d}_{labels[i]}", int(labels[i]), pixels)

    with building(folder, f"{code_of(view)} {binary}") as aside:
        if aside is not None:
            write_text(aside / "synset_words.txt", "".join(f"{letter} letter {letter}\n" for letter in LETTERS))
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


class Smooth(Protocol):
    """What projected gradients attack."""

    def probabilities(self, grey: Grey) -> Grey:
        """N × classes."""

    def gradients(self, grey: Grey, labels: Labels) -> Grey:
        """Return the gradient of the best other score less the label's, which the softmax does not saturate."""


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
        """Return gradients as :meth:`Smooth.gradients` does."""
        bumps = np.exp(-self.gamma * self._distances(grey))
        rival = _rivals(bumps @ self.softmax.coef_.T + self.softmax.intercept_, labels)
        pull = (self.softmax.coef_[rival] - self.softmax.coef_[labels]) * bumps * -2 * self.gamma
        return np.asarray(pull.sum(axis=1)[:, None] * grey - pull @ self.centres)


class ReluNetwork:
    """One hidden layer of rectified sums, then a softmax: not linear, but linear in pieces."""

    def __init__(self, grey: Grey, labels: Labels, seed: int) -> None:
        self.mean = grey.mean(axis=0)
        self.model = MLPClassifier(HIDDEN, alpha=1e-3, max_iter=60, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it need not be at its very optimum
            self.model.fit(self._inputs(grey), labels)

    def _inputs(self, grey: Grey) -> Grey:
        return np.asarray((grey - self.mean) / 128)

    def probabilities(self, grey: Grey) -> Grey:
        """N × classes."""
        return np.asarray(self.model.predict_proba(self._inputs(grey)))

    def gradients(self, grey: Grey, labels: Labels) -> Grey:
        """Return gradients as :meth:`Smooth.gradients` does."""
        (first, second), (offset, last) = self.model.coefs_, self.model.intercepts_
        hidden = np.maximum(self._inputs(grey) @ first + offset, 0)
        rival = _rivals(hidden @ second + last, labels)
        return np.asarray(((second.T[rival] - second.T[labels]) * (hidden > 0)) @ first.T / 128)


def _rivals(scores: Grey, labels: Labels) -> Labels:
    scores = scores.copy()
    scores[np.arange(len(labels)), labels] = -np.inf
    return np.asarray(scores.argmax(axis=1))


def worst_smooth(net: Smooth, grey: Grey, labels: Labels, eps: float, rng: np.random.Generator) -> Grey:
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
            own = p[every, labels].copy()
            p[every, labels] = 0
            better = own - p.max(axis=1) < least
            least[better], out[better] = (own - p.max(axis=1))[better], whole[better]
    return np.asarray(out)
