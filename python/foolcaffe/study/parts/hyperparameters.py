"""Loss curves for the initial weights, rates and decays that the post tried, then the sweep that it did not make."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from caffefiles.datum import DatumLMDB
from foolcaffe.classes import read_synsets
from foolcaffe.render import Overrides
from foolcaffe.study.common import decay_name, plain
from foolcaffe.study.lab import Lab
from foolcaffe.study.record import POST, Cell, Check, Claim, number
from foolcaffe.style import GREY, styled

SEED = 1
STD, RATE, DECAY = 1e-4, 1e-7, 100.0
"""The post's own; each curve differs from them in one."""
ALEXNET_STD, ALEXNET_RATE = 0.01, 0.01
EXPLODED = 1.5
"""A run has exploded if it diverged or a later loss is so many times the first one, or not a number."""
COLOURS = ("#0072B2", "#D55E00", "#007A5A", "#B2182B", "#6A3D9A", "#8C6D1F")


def run(lab: Lab) -> list[Claim]:
    """Train, draw, judge."""
    classes = len(read_synsets(lab.dataset / "synset_words.txt"))
    with DatumLMDB(lab.dataset / "val_lmdb") as records:
        validation = len(records)
    ballpark = math.log(classes)
    iterations = lab.scale.sweep_iterations

    def curve(std: float = STD, rate: float = RATE, decay: float = DECAY) -> dict[str, Any]:
        name = f"std{std:g}-rate{rate:g}-decay{decay:g}"
        return lab.curve(name, Overrides(base_lr=rate, weight_decay=decay, std=std, max_iter=iterations, seed=SEED))

    stds = {s: curve(std=s) for s in (STD, ALEXNET_STD)}
    rates = {r: curve(rate=r) for r in (*lab.scale.rates, ALEXNET_RATE)}
    decays = {d: curve(decay=d) for d in sorted({*lab.scale.sweep_decays, DECAY})}
    grid = {(r, d): curve(rate=r, decay=d) for r in lab.scale.rates for d in lab.scale.sweep_decays}

    n = f"one training of {iterations} iterations (batch 256) for each curve"
    with styled():
        canvas = Figure(figsize=(11, 5.4), layout="constrained")
        axes = canvas.subplots(1, 3)
        _curves(axes[0], {f"std {s:g}": c for s, c in stds.items()}, ballpark, classes, "initial weights")
        _curves(axes[1], {f"rate {number(r)}": c for r, c in rates.items()}, ballpark, classes, "learning rate")
        _curves(axes[2], {f"decay {decay_name(d)}": c for d, c in decays.items()}, ballpark, classes, "weight decay")
    first = {s: _first(c) for s, c in stds.items()}
    lab.figure(
        "curves",
        canvas,
        "Where the loss starts, explodes, or does not move",
        f"Three panels of training loss over iterations. Initial std 0.01 starts at {first[ALEXNET_STD]:.1f}, 0.0001 "
        f"at {first[STD]:.2f}; −log(1/K) is {ballpark:.2f}. Rates above {number(_largest_stable(rates))} explode.",
        n,
        str(SEED),
    )

    top1 = {key: _top(c, "top1") for key, c in grid.items()}
    top5 = {key: _top(c, "top5") for key, c in grid.items()}
    best = max(top1, key=lambda key: top1[key])
    with styled():
        canvas = Figure(figsize=(10.5, 4.2), layout="constrained")
        for panel, (values, k) in zip(canvas.subplots(1, 2), ((top1, 1), (top5, min(5, classes)))):
            _map(panel, lab, values, k, k / classes)
    lab.figure(
        "sweep",
        canvas,
        "The exhaustive sweep: rate × weight decay",
        f"Two maps of validation accuracy over learning rate and weight decay. Best top-1 is {100 * top1[best]:.1f} % "
        f"at rate {number(best[0])}, decay {best[1]:g}.",
        f"{len(grid)} trainings of {iterations} iterations, {validation} validation images",
        str(SEED),
    )
    lab.table("sweep", "The sweep", [_row(r, d, c) for (r, d), c in grid.items()])
    return _claims(classes, ballpark, first, rates, decays, top1, best, validation)


def _claims(
    classes: int,
    ballpark: float,
    first: dict[float, float],
    rates: dict[float, dict[str, Any]],
    decays: dict[float, dict[str, Any]],
    top1: dict[tuple[float, float], float],
    best: tuple[float, float],
    validation: int,
) -> list[Claim]:
    stable = _largest_stable(rates)
    weak = decays[min(decays)]
    share = (weak["penalty"] or 0.0) / _last(weak) if weak["penalty"] is not None else float("nan")
    post = min(top1, key=lambda key: (abs(math.log10(key[0] / RATE)), abs(math.log10(key[1] / DECAY))))
    eighty = [Check("first loss", first[ALEXNET_STD], "≥", 70.0), Check("first loss", first[ALEXNET_STD], "≤", 88.0)]
    error = math.sqrt(2 * top1[best] * (1 - top1[best]) / validation)
    return [
        Claim(
            "whack",
            POST,
            "starting Caffe training with default hyperparameters gives a starting loss of about 80, which right away "
            "tells you that the initialization is completely out of whack (initial ImageNet loss should be ballpark "
            "7.0, which is -log(1/1000))",
            f"With std 0.01 training starts at a loss of {first[ALEXNET_STD]:.1f}; −log(1/{classes}) is "
            f"{ballpark:.2f}.",
            [Check("first loss over −log(1/K)", first[ALEXNET_STD] / ballpark, "≥", 5.0, "times")],
        ),
        Claim(
            "eighty",
            POST,
            "gives a starting loss of about 80",
            f"It starts at {first[ALEXNET_STD]:.1f}.",
            eighty if classes >= 100 else [],
            ""
            if classes >= 100
            else f"the number depends on how many classes there are, here {classes}, in the post 1000.",
        ),
        Claim(
            "sensible",
            POST,
            "I scaled it down to 0.0001 std for Gaussian init which gives sensible starting loss.",
            f"With std 0.0001 it starts at {first[STD]:.2f}.",
            [Check("first loss over −log(1/K)", first[STD] / ballpark, "≤", 1.5, "times")],
        ),
        Claim(
            "explodes",
            POST,
            "But then the loss right away explodes which tells you that the learning rate is way too high",
            f"With AlexNet’s rate of 0.01 the loss goes from {_first(rates[ALEXNET_RATE]):.2f} to "
            f"{_peak(rates[ALEXNET_RATE]):.1f}.",
            [
                Check(
                    "highest later loss over the first",
                    _peak(rates[ALEXNET_RATE]) / _first(rates[ALEXNET_RATE]),
                    "≥",
                    EXPLODED,
                    "times",
                )
            ],
        ),
        Claim(
            "rate",
            POST,
            "I had to scale it all the way down to about 1e-7.",
            f"The highest rate, in decades, that does not explode is {number(stable)}.",
            [Check("highest rate that does not explode", stable, "≥", 1e-8), Check("the same", stable, "≤", 1.01e-6)],
        ),
        Claim(
            "negligible",
            POST,
            "a weight decay of 0.0005 will give almost negligible regularization loss with 12K inputs",
            f"At the end ½·{min(decays):g}·Σw² is {number(100 * share)} % of the loss of {number(_last(weak))}.",
            [Check("regularization loss over the data loss", 100 * share, "≤", 1.0, "%")],
        ),
        Claim(
            "sweep",
            POST,
            "I haven’t done a completely exhaustive hyperparameter sweep but I did a few rounds of manual binary "
            "search.",
            f"The best of {len(top1)} is rate {number(best[0])}, decay {best[1]:g} with {100 * top1[best]:.1f} % "
            f"top-1; what is nearest to the post’s choice (rate {number(post[0])}, decay {post[1]:g}) has "
            f"{100 * top1[post]:.1f} %. The rule asks whether the post’s search missed much.",
            [
                Check(
                    "best top-1 less that of the post’s choice, against two standard errors",
                    100 * (top1[best] - top1[post]),
                    "≤",
                    200 * error,
                    "points",
                )
            ],
        ),
    ]


def _first(curve: dict[str, Any]) -> float:
    return float(curve["loss"][0][1] if curve["loss"][0][1] is not None else math.inf)


def _last(curve: dict[str, Any]) -> float:
    return float(curve["loss"][-1][1] if curve["loss"][-1][1] is not None else math.inf)


def _peak(curve: dict[str, Any]) -> float:
    later = [math.inf if v is None else v for i, v in curve["loss"] if i > 0]
    return float(max(later, default=math.nan))


def _exploded(curve: dict[str, Any]) -> bool:
    return bool(curve["diverged"]) or not _peak(curve) < EXPLODED * _first(curve)


def _largest_stable(rates: dict[float, dict[str, Any]]) -> float:
    return max((rate for rate, curve in rates.items() if not _exploded(curve)), default=math.nan)


def _top(curve: dict[str, Any], name: str) -> float:
    value = curve["tests"][-1][1].get(name) if curve["tests"] else None
    return float(value) if value is not None else 0.0


def _row(rate: float, decay: float, curve: dict[str, Any]) -> dict[str, Cell]:
    return {
        "rate": rate,
        "weight decay": decay,
        "first loss": curve["loss"][0][1],
        "last loss": curve["loss"][-1][1],
        "exploded": "yes" if _exploded(curve) else "no",
        "top-1 (%)": 100 * _top(curve, "top1"),
        "top-5 (%)": 100 * _top(curve, "top5"),
        "½·decay·Σw²": curve["penalty"],
    }


def _curves(axes: Axes, curves: dict[str, dict[str, Any]], ballpark: float, classes: int, title: str) -> None:
    for (name, curve), colour in zip(curves.items(), COLOURS):
        shown = [(i, v or math.nan) for i, v in curve["loss"]]  # a loss of 0 or none has no place on a log scale
        axes.plot([i for i, _ in shown], [v for _, v in shown], lw=1.4, color=colour, label=name)
    axes.axhline(ballpark, color=GREY, ls="--", lw=1, label=f"−log(1/{classes}) = {ballpark:.2f}")
    axes.set(yscale="log", title=title, xlabel="iteration", ylabel="training loss (nats, log scale)")
    plain(axes)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


def _map(axes: Axes, lab: Lab, values: dict[tuple[float, float], float], k: int, chance: float) -> None:
    grid = np.array([[100 * values[(r, d)] for r in lab.scale.rates] for d in lab.scale.sweep_decays])
    high = max(float(grid.max()), 100 * chance * 1.01)
    norm = TwoSlopeNorm(vmin=min(0.0, float(grid.min())), vcenter=100 * chance, vmax=high)
    axes.imshow(grid, origin="lower", aspect="auto", cmap="RdYlBu", norm=norm)
    for (row, column), value in np.ndenumerate(grid):
        dark = norm(value) < 0.15 or norm(value) > 0.85
        axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=9, color="white" if dark else "black")
    axes.set_xticks(range(len(lab.scale.rates)), [number(r) for r in lab.scale.rates])
    axes.set_yticks(range(len(lab.scale.sweep_decays)), [decay_name(d) for d in lab.scale.sweep_decays])
    axes.set(xlabel="learning rate", ylabel="weight decay", title=f"top-{k} (%), chance {100 * chance:.1f}")
    axes.grid(visible=False)
