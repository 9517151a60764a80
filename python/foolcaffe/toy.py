"""The post's toy: a logistic regression of ten dimensions, broken by half a unit in each.

Karpathy 2015, "Toy Example". The score rises by 0.5 w·w = 5, from −3 to 2; the probability of class 1 from 0.0474 to
0.88.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from scipy.special import expit

from foolcaffe.engine import ROOT
from foolcaffe.errors import FoolCaffeError, run_cli
from foolcaffe.options import command_line
from foolcaffe.style import BLUE, GREY, ORANGE, save, styled

X = (2.0, -1.0, 3.0, -2.0, 2.0, 2.0, 1.0, -4.0, 5.0, 1.0)
W = (-1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 1.0)
STEP = 0.5


@dataclass(frozen=True)
class Toy:
    """``xad = x + step·w``; scores are w·x, probabilities σ(score) of class 1."""

    x: npt.NDArray[np.float64]
    w: npt.NDArray[np.float64]
    xad: npt.NDArray[np.float64]
    score: float
    score_ad: float
    probability: float
    probability_ad: float


def toy(x: npt.ArrayLike = X, w: npt.ArrayLike = W, step: float = STEP) -> Toy:
    """Compute the example; with the defaults the post's own numbers come out.

    Raises:
        FoolCaffeError: x and w are of different length.
    """
    a, b = np.asarray(x, np.float64), np.asarray(w, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise FoolCaffeError(f"x has {a.size} numbers, w has {b.size}: as many were expected")
    xad = a + step * b
    before, after = float(a @ b), float(xad @ b)
    return Toy(a, b, xad, before, after, float(expit(before)), float(expit(after)))


def draw(path: Path, example: Toy, step: float) -> None:
    """Draw x and xad beside each other, dimension by dimension, and the probabilities of class 1."""
    with styled():
        figure = Figure(figsize=(8, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[2.8, 1])
        place = np.arange(1, len(example.x) + 1)
        left.axhline(0, color=GREY, lw=0.8)
        left.bar(place - 0.2, example.x, 0.38, color=BLUE, label="x")
        left.bar(place + 0.2, example.xad, 0.38, color=ORANGE, label=f"x + {step:g} w")
        left.set_xticks(place, [f"{i}\nw={w:+.0f}".replace("-", "−") for i, w in zip(place, example.w)], fontsize=8)
        left.set(xlabel="dimension, and its weight", ylabel="input")
        left.legend(loc="lower left")
        left.set_title(f"score w·x: {example.score:g} → {example.score_ad:g}".replace("-", "−"))
        bars = right.bar(
            ["x", f"x + {step:g} w"], [example.probability, example.probability_ad], color=[BLUE, ORANGE], width=0.6
        )
        right.bar_label(bars, [f"{example.probability:.4f}", f"{example.probability_ad:.4f}"])
        right.axhline(0.5, color=GREY, lw=0.8, ls="--")
        right.set(ylim=(0, 1), ylabel="probability of class 1", title="σ(score)")
        save(figure, path)


def main(arguments: list[str]) -> int:
    """Print every number of the example, and draw it."""
    parser = command_line("foolcaffe.toy", __doc__)
    parser.add_argument("--step", type=float, default=STEP, help="how much of w is added (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "toy.png", help="the figure (default: build/toy.png)"
    )
    options = parser.parse_args(arguments)
    if not math.isfinite(options.step):
        raise FoolCaffeError(f"--step {options.step} is no step", "expected a number, as 0.5")
    if options.out.suffix != ".png":
        raise FoolCaffeError(f"--out {options.out}: the figure is a PNG", "its name must end in .png")
    example = toy(step=options.step)

    def numbers(values: npt.NDArray[np.float64]) -> str:
        return "[" + ", ".join(f"{v:g}" for v in values) + "]"

    print(f"x   = {numbers(example.x)}\nw   = {numbers(example.w)}")
    print(f"w·x = {example.score:g}, probability of class 1 = {example.probability:.4f}")
    print(f"xad = x + {options.step:g}w = {numbers(example.xad)}")
    print(f"w·xad = {example.score_ad:g}, probability of class 1 = {example.probability_ad:.4f}")
    draw(options.out, example, options.step)
    print(options.out)
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.toy")
