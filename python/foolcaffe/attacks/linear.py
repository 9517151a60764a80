"""A linear net as numbers: its rows, their Gram matrix, its offsets, all in double precision."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from foolcaffe.classifier import Classifier
from foolcaffe.errors import FoolCaffeError


@dataclass(frozen=True, eq=False)
class LinearNet:
    """``scores = rows @ pixels + offsets``.

    Attributes:
        rows: K × D, float64, BGR order.
        rows32: the same in float32, as Caffe has them.
        gram: K × K, rows @ rowsᵀ.
        offsets: K, the scores of the image that is zero everywhere.
        rounding: how far Caffe's float32 scores may lie from these: twice u Σ|w|·|x|, u = 2⁻²⁴, the usual size of the
            error of a float32 sum; real Caffe stays below a third of it.
    """

    rows: npt.NDArray[np.float64]
    rows32: npt.NDArray[np.float32]
    gram: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    rounding: float

    def scores(self, pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Scores of one image, D values of 0..255 in BGR order."""
        return np.asarray(self.rows @ pixels + self.offsets)


OTHERS = "the exact attack is for linear nets; iterated, lbfgs and deepfool are for any"
_KNOWN: WeakKeyDictionary[Classifier, LinearNet] = WeakKeyDictionary()


def linear_net(net: Classifier) -> LinearNet:
    """The numbers of a linear net, computed once a net.

    Raises:
        FoolCaffeError: the net is not linear: its score layer is not fed by the pixels, or its scores are not what the
            weights say.
    """
    known = _KNOWN.get(net)
    if known is None:
        if not net.linear:
            raise FoolCaffeError("this net is not linear: its score layer is not fed by the pixels", OTHERS)
        rows32 = net.score_weights().reshape(net.classes, -1)
        rows = rows32.astype(np.float64)
        offsets = net.score_offsets()
        known = LinearNet(
            rows, rows32, rows @ rows.T, offsets, 2 * 2.0**-24 * 128 * float(np.abs(rows).sum(axis=1).max())
        )
        _check(net, known)
        _KNOWN[net] = known
    return known


def _check(net: Classifier, linear: LinearNet) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, *net.shape)).astype(np.float32)
    queries = net.queries
    seen = net.scores(images)
    net.queries = queries  # looking at noise is no part of an attack
    for image, scores in zip(images, seen):
        expected = linear.scores(image.reshape(-1).astype(np.float64))
        if not float(np.abs(scores - expected).max()) <= 16 * linear.rounding + 1e-6 * float(np.abs(expected).max()):
            raise FoolCaffeError("this net is not linear: its scores are not weights · pixels + bias", OTHERS)
