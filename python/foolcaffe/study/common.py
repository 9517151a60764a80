"""What several parts measure alike: which images and targets, smoothness of templates, standard errors, medians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from foolcaffe.classifier import Classifier
from foolcaffe.difficulty import spread_images
from foolcaffe.images import Rgb8
from foolcaffe.render import Overrides

FULL, RATE, DECAY, STD = 64, 1e-7, 100.0, 1e-4
"""The post's side in pixels, rate, decay and initial weights."""
BATCH = 250
CASE_SEED = 11
"""Of the random targets."""


@dataclass(frozen=True)
class Case:
    """An image, its label, and the class that it shall be taken for."""

    start: Rgb8
    label: int
    target: int


def cases(dataset: Path, nets: Sequence[Classifier], count: int, seed: int = CASE_SEED) -> list[Case]:
    """Validation images, evenly spread, each with a random class that is neither its label nor what any net sees in it.

    So every net is attacked on the same images with the same targets, and none is fooled from the start.
    """
    rng = np.random.default_rng(seed)
    found = []
    for start, label in spread_images(dataset / "val_lmdb", count):
        seen = {int(net.scores(start.to_bgr())[0].argmax()) for net in nets}
        others = [c for c in rng.permutation(nets[0].classes).tolist() if c != label and c not in seen]
        if others:
            found.append(Case(start, label, int(others[0])))
    return found


def stack(images: Sequence[Rgb8]) -> npt.NDArray[np.float32]:
    """Images × channels × height × width, BGR, 0..255."""
    return np.stack([image.to_bgr().array for image in images])


def scaled(side: int, seed: int, iterations: int | None) -> Overrides:
    """The post's hyperparameters for side × side pixels.

    With fewer pixels each weight sees less: rate, decay and initial weights are scaled so that an image of constant
    blocks is learnt as fast, forgotten as fast, and scored alike at the start as at 64 × 64.
    """
    shrunk = (FULL / side) ** 2
    return Overrides(
        base_lr=RATE * shrunk, weight_decay=DECAY / shrunk, std=STD * shrunk**0.5, max_iter=iterations, seed=seed
    )


def neighbours(weights: npt.NDArray[np.float32]) -> float:
    """How smooth templates are: the correlation of weights one pixel apart, mean over classes, channels, directions.

    1 is a constant slope, 0 is white noise.

    Args:
        weights: classes × channels × height × width.
    """
    w = weights.astype(np.float64) - weights.mean(axis=(2, 3), keepdims=True, dtype=np.float64)
    found = []
    for a, b in ((w[:, :, 1:], w[:, :, :-1]), (w[:, :, :, 1:], w[:, :, :, :-1])):
        norm = np.sqrt((a**2).sum(axis=(2, 3)) * (b**2).sum(axis=(2, 3)))
        found.append(float(np.divide((a * b).sum(axis=(2, 3)), norm, out=np.zeros_like(norm), where=norm > 0).mean()))
    return float(np.mean(found))


def standard_error(shares: Sequence[float], images: int) -> float:
    """Return the standard error of the mean of several runs' shares on the same images: the images', and the runs'."""
    p = float(np.mean(shares))
    return float(np.sqrt(p * (1 - p) / images + _between(shares)))


def lead_error(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the standard error of the difference of two models' shares: the images', and the runs'.

    Args:
        a, b: the ``hits`` of each run's :class:`~foolcaffe.evaluate.Evaluation`.
    """
    one, other = (np.array([list(map(float, run)) for run in runs]) for runs in (a, b))
    chance = paired_error(one.mean(axis=0), other.mean(axis=0))
    return float(np.sqrt(chance**2 + _between(one.mean(axis=1).tolist()) + _between(other.mean(axis=1).tolist())))


def _between(shares: Sequence[float]) -> float:
    return float(np.var(shares, ddof=1)) / len(shares) if len(shares) > 1 else 0.0


def mean(values: Sequence[float]) -> float:
    """The mean, or not a number of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def paired_error(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """The standard error of the mean of a − b, both measured on the same images."""
    return float(np.std(a - b, ddof=1) / np.sqrt(len(a)))


def median(values: Sequence[float]) -> float:
    """The median, or not a number of nothing."""
    return float(np.median(values)) if len(values) else float("nan")


def spread(axes: Axes, x: npt.ArrayLike, samples: Sequence[Sequence[float]], **style: Any) -> None:
    """Plot the median of each sample at its ``x``, with bars from the lower to the upper quartile."""
    low, middle, high = np.array([np.percentile(s, [25, 50, 75]) if len(s) else [np.nan] * 3 for s in samples]).T
    axes.errorbar(x, middle, [middle - low, high - middle], capsize=3, **style)


def monotone(values: Sequence[float]) -> float:
    """The least step up of a sequence, relative: negative if it falls anywhere, and NaN if a value is not a number."""
    if not np.isfinite(values).all():
        return float("nan")
    return float(min(b / a - 1 for a, b in zip(values, values[1:])))


def percent(share: float) -> str:
    """Print a share in per cent, as texts do."""
    return f"{100 * share:g} %"


def decay_name(decay: float) -> str:
    """Print a weight decay as figures do."""
    return f"{decay:g}".replace("10000", "10⁴")


def plain(axes: Axes) -> None:
    """Numbers instead of powers on a logarithmic y axis that is drawn: 0.5, 1, 2, 5; over a wide range 0.1, 1, 10."""
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
