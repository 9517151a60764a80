"""The post's ten numbers; then the same classifier on smaller and smaller images: the least ε that fools it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from foolcaffe.attacks.base import Criterion
from foolcaffe.attacks.exact import exact
from foolcaffe.evaluate import evaluate
from foolcaffe.study.common import CASE_SEED, DECAY, FULL, cases, median, monotone, plain, scaled, spread
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.record import NOTE, POST, Check, Claim
from foolcaffe.study.views import sized
from foolcaffe.style import BLUE, GREY, ORANGE, styled
from foolcaffe.toy import STEP, draw, toy
from foolcaffe.trained import TrainedModel


def model_of(lab: Bench, side: int, seed: int) -> TrainedModel:
    """The post's model on side × side images."""
    if side == FULL:
        return lab.decayed(DECAY, seed)
    view = sized(lab.root / f"{lab.dataset.name}-{side}px", lab.dataset, side)
    return lab.trained(f"side{side}-seed{seed}", scaled(side, seed, lab.scale.iterations), view=view, side=side)


def run(lab: Lab) -> list[Claim]:
    """Compute the toy, train, find every least ε, judge."""
    example = toy()
    lab.figure(
        "toy",
        lambda path: draw(path, example, STEP),
        "The post’s toy: ten dimensions, half a unit in each",
        f"Bars of x and x + 0.5 w for ten dimensions; the probability of class 1 goes from {example.probability:.3f} "
        f"to {example.probability_ad:.3f}.",
        "10 dimensions",
        "none, nothing is drawn",
    )
    found: dict[int, list[dict[str, Any]]] = {
        side: [lab.step(f"side{side}-seed{seed}", _measure, side, seed) for seed in lab.scale.seeds]
        for side in lab.scale.sizes
    }
    medians = {side: [median(m["eps"]) for m in row] for side, row in found.items()}
    slope = float(
        np.polyfit(np.log([3 * s * s for s in medians]), np.log([np.mean(v) for v in medians.values()]), 1)[0]
    )
    _plot(lab, found, slope)
    lab.table(
        "dimension",
        "The least ε that turns an image into a random class, by the size of the image",
        [
            {
                "side (pixels)": side,
                "dimensions": 3 * side * side,
                "seed": seed,
                "images": len(m["eps"]),
                "median least ε (grey levels)": median(m["eps"]),
                "top-1 (%)": 100 * m["top1"],
            }
            for side, row in found.items()
            for seed, m in zip(lab.scale.seeds, row)
        ],
    )
    means = [float(np.mean(v)) for v in medians.values()]
    sides = list(medians)
    return [
        Claim(
            "toy",
            POST,
            "we improved the class 1 probability from 5% to 88%!",
            f"w·x goes from {example.score:g} to {example.score_ad:g}, the probability of class 1 from "
            f"{example.probability:.4f} to {example.probability_ad:.4f}.".replace("-", "−"),
            [
                Check("score before", example.score, "=", -3.0),
                Check("score after", example.score_ad, "=", 2.0),
                Check("probability before, to four digits", round(example.probability, 4), "=", 0.0474),
                Check("probability after, to two digits", round(example.probability_ad, 2), "=", 0.88),
            ],
        ),
        Claim(
            "dimension",
            POST,
            "an image might consist of many tens of thousands of dimensions, so you can afford to make tiny changes "
            "across all of "
            "them that all add up in concert in exactly the worst way to blow up the score of any class you wish",
            f"The least change of every pixel that turns an image into a random class has a median of {means[0]:.1f} "
            f"grey levels at {sides[0]} × {sides[0]} and {means[-1]:.1f} at {sides[-1]} × {sides[-1]}.",
            [Check(f"least ε at {sides[-1]}² over that at {sides[0]}²", means[-1] / means[0], "≤", 0.5)],
        ),
        Claim(
            "many",
            NOTE,
            "Adversarial examples are made possible when the input has a large number of dimensions. This means many "
            "individually small effects can have a very large effect on the overall prediction.",
            f"From size to size the least ε goes {', '.join(f'{m:.1f}' for m in means)}; it falls as the dimension "
            f"to the power {slope:.2f}.".replace("-", "−"),
            [
                Check("least relative fall from one size to the next", monotone(means[::-1]), ">", 0.0),
                Check("exponent of the dimension", slope, "≤", -0.1),
            ],
        ),
    ]


def _measure(lab: Bench, side: int, seed: int) -> dict[str, Any]:
    model = model_of(lab, side, seed)
    net = model.classifier()
    eps = []
    for case in cases(model.dataset, [net], lab.scale.images):
        result = exact(net, case.start, Criterion(case.target), norm="linf", seed=CASE_SEED)
        if result.certificate is not None and np.isfinite(result.certificate.reached):
            eps.append(result.certificate.reached)
    scored = evaluate(net, model.dataset / "val_lmdb", quiet=True)
    return {"eps": eps, "top1": scored.top1 / scored.images}


def _plot(lab: Lab, found: dict[int, list[dict[str, Any]]], slope: float) -> None:
    sides = list(found)
    dims = np.array([3 * s * s for s in sides])
    pooled = {side: [e for m in row for e in m["eps"]] for side, row in found.items()}
    middle = [median(e) for e in pooled.values()]
    with styled():
        canvas = Figure(figsize=(7, 4.3), layout="constrained")
        axes = canvas.subplots()
        for side, row in found.items():
            axes.plot([3 * side * side] * len(row), [median(m["eps"]) for m in row], ".", color=ORANGE, ms=7, zorder=3)
        label = "median and quartiles; dots: single trainings"
        spread(axes, dims, list(pooled.values()), fmt="-", lw=1.4, color=BLUE, label=label)
        axes.plot(
            dims, middle[0] * (dims / dims[0]) ** -0.5, ls="--", lw=1, color=GREY, label="dimension to the power −½"
        )
        axes.set(xscale="log", yscale="log")
        axes.set_xticks(dims, [f"3·{s}²" for s in sides])
        axes.minorticks_off()
        plain(axes)
        axes.set(xlabel="dimensions of the input", ylabel="least ε to a random class (grey levels)")
        axes.legend(fontsize=9)
    lab.figure(
        "dimension",
        canvas,
        "The exact least ε falls with the dimension",
        "Median least change of every pixel over the number of inputs: "
        f"{', '.join(f'{m:.1f} at {s} × {s}' for s, m in zip(sides, middle))} "
        f"grey levels; the exponent is {slope:.2f}.",
        f"{len(pooled[sides[0]]) // len(lab.scale.seeds)} validation images",
        f"trainings {', '.join(map(str, lab.scale.seeds))}; targets {CASE_SEED}",
    )
