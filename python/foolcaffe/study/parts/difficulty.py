"""The smallest change that fools, proved and measured on 8-bit PNGs, and the confidence reached, for every decay."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from foolcaffe.attacks.base import Attack, Criterion
from foolcaffe.attacks.exact import exact
from foolcaffe.attacks.gradient import gradient
from foolcaffe.evaluate import evaluate
from foolcaffe.figures import FoolingRow, fooling_figure, top
from foolcaffe.images import write_png
from foolcaffe.study.common import (
    CASE_SEED,
    Case,
    cases,
    decay_name,
    lead_error,
    median,
    monotone,
    percent,
    plain,
    spread,
    stack,
)
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.record import POST, Check, Claim
from foolcaffe.style import BLUE, GREEN, ORANGE, styled
from foolcaffe.trained import TrainedModel
from foolcaffe.verify import verify

SURE = 0.99
LEVELS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Mean |δ| at which the confidence is looked at, in grey levels, along the target's template."""
BUDGET = 8.0
"""Of them, the one that claims are about: 3 % of the range."""
HARDLY_SEEN = 8.0
COLOURS = ("#0072B2", "#007A5A", "#8C6D1F", "#D55E00")


def run(lab: Lab) -> list[Claim]:
    """Attack, draw, judge."""
    found: dict[float, dict[str, Any]] = {d: lab.step(f"decay{d:g}", _measure, d) for d in lab.scale.decays}
    models = _models(lab)
    chosen = _chosen(lab, models)
    _plots(lab, found, len(chosen))
    _rows(lab, models, chosen)
    lab.table(
        "difficulty",
        "The smallest change that fools, by weight decay; all on PNGs, in grey levels",
        [
            {
                "weight decay": d,
                "tried": f["tried"],
                "fooled by the template": len(f["gradient"]),
                "median mean |δ| by the template": median(f["gradient"]),
                "fooled by the exact attack": len(f["exact_l2"]),
                "exact: median L2": median(f["exact_l2"]),
                "proved lower bound: median L2": median(f["bound_l2"]),
                "exact: median mean |δ|": median(f["exact"]),
                f"{percent(SURE)} sure: fooled": len(f["sure"]),
                f"{percent(SURE)} sure: median mean |δ|": median(f["sure"]),
                "any wrong class: median L2": median(f["any_l2"]),
                f"median confidence at mean |δ| {BUDGET:g}": median(f["confidence"][str(BUDGET)]),
                "mean confidence of right answers": f["right"],
                "top-1 (%)": 100 * f["top1"],
            }
            for d, f in found.items()
        ],
    )
    return _claims(lab, found)


def _models(lab: Bench) -> dict[float, TrainedModel]:
    return {d: lab.decayed(d, lab.scale.seeds[0]) for d in lab.scale.decays}


def _chosen(lab: Bench, models: dict[float, TrainedModel]) -> list[Case]:
    return cases(lab.dataset, [m.classifier() for m in models.values()], lab.scale.images)


def _measure(lab: Bench, decay: float) -> dict[str, Any]:
    models = _models(lab)
    model, chosen = models[decay], _chosen(lab, models)
    net = model.classifier()
    lab.say(f"attacking decay {decay:g}")
    out: dict[str, Any] = {key: [] for key in ("gradient", "exact", "exact_l2", "bound_l2", "sure", "any_l2")}
    out["confidence"] = {str(level): [] for level in LEVELS}
    with tempfile.TemporaryDirectory(prefix="foolcaffe.") as aside:
        png = Path(aside) / "x.png"

        def fool(attack: Attack, case: Case, criterion: Criterion) -> tuple[Any, Any]:
            result = attack(net, case.start, criterion, seed=CASE_SEED)
            write_png(png, result.image)
            verdict = verify(net, png, case.start, criterion)
            return result, verdict.distances if verdict.fooled else None

        for case in chosen:
            _, distances = fool(gradient, case, Criterion(case.target))
            if distances:
                out["gradient"].append(distances.mean)
            result, distances = fool(exact, case, Criterion(case.target))
            if distances:
                out["exact"].append(distances.mean)
                out["exact_l2"].append(distances.l2)
                out["bound_l2"].append(result.certificate.png)
            _, distances = fool(exact, case, Criterion(case.target, confidence=SURE))
            if distances:
                out["sure"].append(distances.mean)
            seen = int(net.scores(case.start.to_bgr())[0].argmax())
            _, distances = fool(exact, case, Criterion(label=seen))
            if distances:
                out["any_l2"].append(distances.l2)
            direction = net.class_gradient(case.start.to_bgr(), case.target)
            steps = np.array(LEVELS) / max(float(np.abs(direction).mean()), 1e-30)
            images = np.rint(
                np.clip(case.start.to_bgr().array + steps[:, None, None, None].astype(np.float32) * direction, 0, 255)
            )
            for level, p in zip(LEVELS, net.probabilities(images.astype(np.float32))[:, case.target]):
                out["confidence"][str(level)].append(float(p))
    out["tried"] = len(chosen)
    starts = net.probabilities(stack([case.start for case in chosen]))
    right = [float(p.max()) for p, case in zip(starts, chosen) if p.argmax() == case.label]
    out["right"] = float(np.mean(right)) if right else None
    scored = evaluate(net, model.dataset / "val_lmdb", quiet=True)
    out["top1"], out["hits"] = scored.top1 / scored.images, scored.hits
    return out


def _claims(lab: Lab, found: dict[float, dict[str, Any]]) -> list[Claim]:
    low, high = found[lab.scale.decays[0]], found[lab.scale.decays[-1]]
    names = f"decay {decay_name(lab.scale.decays[0])}", f"decay {decay_name(lab.scale.decays[-1])}"
    exact = [median(f["exact_l2"]) if len(f["exact_l2"]) * 2 > f["tried"] else float("nan") for f in found.values()]
    at = [median(f["confidence"][str(BUDGET)]) for f in (low, high)]
    sure = len([m for m in low["sure"] if m <= HARDLY_SEEN]) / low["tried"]
    right = [f["right"] if f["right"] is not None else float("nan") for f in (low, high)]
    two = 200 * lead_error([low["hits"]], [high["hits"]])
    return [
        Claim(
            "resistant",
            POST,
            "High regularization gives smoother templates, but at some point starts to works worse. However, it is "
            "more resistant to fooling.",
            f"The exact smallest change to a chosen class has a median L2 of {', '.join(f'{e:.0f}' for e in exact)} "
            "grey levels, from the weakest decay to the strongest.",
            [
                Check("strongest over weakest decay, median exact L2", exact[-1] / exact[0], "≥", 2.0, "times"),
                Check("least relative rise from one decay to the next", monotone(exact), "≥", -0.02),
            ],
        ),
        Claim(
            "obvious",
            POST,
            "To flip the label to a wrong class, more visually obvious perturbations are also needed.",
            f"To leave the class that the net sees, the median exact L2 is {median(low['any_l2']):.0f} at {names[0]} "
            f"and {median(high['any_l2']):.0f} at {names[1]}.",
            [
                Check(
                    "strongest over weakest decay, median exact L2",
                    median(high["any_l2"]) / median(low["any_l2"]),
                    "≥",
                    1.5,
                    "times",
                )
            ],
        ),
        Claim(
            "hundred",
            POST,
            "Another model with very low regularization reaches 2.8% and its fooling images are virtually "
            "indistinguishable yet produce 100% confidences in the wrong class.",
            f"At {names[0]}, {100 * sure:.0f} % of the images reach {percent(SURE)} confidence in the wrong class with "
            f"a mean |δ| of at most {HARDLY_SEEN:g} grey levels (median {median(low['sure']):.1f}).",
            [
                Check(
                    f"images that reach {percent(SURE)} with mean |δ| ≤ {HARDLY_SEEN:g} levels",
                    100 * sure,
                    "≥",
                    90.0,
                    "%",
                )
            ],
        ),
        Claim(
            "confident",
            POST,
            "it’s harder to achieve very confident wrong answers (however, with weights so small it is hard to "
            "achieve very confident correct answers too)",
            f"With a mean |δ| of {BUDGET:g} along the template the median confidence in the wrong class is "
            f"{100 * at[0]:.1f} % at {names[0]} and {100 * at[1]:.1f} % at {names[1]}; "
            f"right answers have {100 * right[0]:.0f} % and {100 * right[1]:.0f} % on average.",
            [
                Check("wrong answers: weakest less strongest decay", 100 * (at[0] - at[1]), "≥", 20.0, "points"),
                Check("right answers: weakest less strongest decay", 100 * (right[0] - right[1]), "≥", 5.0, "points"),
            ],
        ),
        Claim(
            "paradox",
            POST,
            "Somewhat paradoxically, the model with the noisy weights (top) works quite a bit better on validation "
            "data (2.6% vs. 1.4% accuracy).",
            f"{names[0].capitalize()} has {100 * low['top1']:.1f} % top-1, {names[1]} {100 * high['top1']:.1f} %.",
            [
                Check(
                    "top-1, weakest less strongest decay, against two standard errors",
                    100 * (low["top1"] - high["top1"]),
                    "≥",
                    two,
                    "points",
                )
            ],
        ),
    ]


def _plots(lab: Lab, found: dict[float, dict[str, Any]], n: int) -> None:
    place = np.arange(len(found))
    with styled():
        canvas = Figure(figsize=(10.5, 4.3), layout="constrained")
        left, right = canvas.subplots(1, 2)
        for key, name, colour, shift in (
            ("gradient", "the post’s template", ORANGE, -0.12),
            ("exact", "exact optimum", BLUE, 0.0),
            ("sure", f"exact, {percent(SURE)} sure", GREEN, 0.12),
        ):
            samples = [f[key] for f in found.values()]
            spread(left, place + shift, samples, fmt="o-", ms=5, lw=1.3, color=colour, label=name)
        left.set_yscale("log")
        plain(left)
        left.set_xticks(place, [decay_name(d) for d in found])
        left.set(xlabel="weight decay", ylabel="mean |δ| of fooling PNGs (grey levels)\nmedian and quartiles")
        left.legend(fontsize=9)
        for (decay, f), colour in zip(found.items(), COLOURS):
            right.plot(
                LEVELS,
                [100 * median(f["confidence"][str(level)]) for level in LEVELS],
                "o-",
                ms=4,
                lw=1.3,
                color=colour,
                label=f"decay {decay_name(decay)}",
            )
        right.set_xscale("log", base=2)
        right.set_xticks(LEVELS, [f"{level:g}" for level in LEVELS])
        right.set(
            ylim=(0, 102),
            xlabel="mean |δ| along the template (grey levels)",
            ylabel="median confidence in the wrong class (%)",
        )
        right.legend(fontsize=9)
    lab.figure(
        "difficulty",
        canvas,
        "How much must change, and what a change achieves, against weight decay",
        "Left: the median mean change of fooling PNGs, exact, is "
        + ", ".join(f"{median(f['exact']):.1f} at decay {d:g}" for d, f in found.items())
        + " grey levels. Right: median confidence in the wrong class over mean change, lower for stronger decay.",
        f"{n} validation images, a random wrong class each",
        f"targets {CASE_SEED}, training {lab.scale.seeds[0]}",
    )


def _rows(lab: Lab, models: dict[float, TrainedModel], chosen: list[Case]) -> None:
    """The post's last figure: one image, one target, the weakest decay above the strongest."""
    case = chosen[len(chosen) // 2]
    rows, changes = [], []
    for decay in (lab.scale.decays[0], lab.scale.decays[-1]):
        net, synsets = models[decay].classifier(), models[decay].synsets()
        result = gradient(net, case.start, Criterion(case.target), seed=CASE_SEED)
        before, after = (top(net.probabilities(i.to_bgr())[0], synsets) for i in (case.start, result.image))
        rows.append(FoolingRow(result, f"template, decay {decay_name(decay)}", before, after, case.target))
        changes.append(f"decay {decay:g}: mean change {result.distances.mean:.2g}")
    name = models[lab.scale.decays[0]].synsets()[case.target].name
    lab.figure(
        "two-rows",
        lambda path: fooling_figure(path, rows, f"towards {name}: weak regularization above, strong below"),
        "The post’s figure: weak regularization is easier to fool (top), strong is harder (bottom)",
        f"Two rows: start, template, fooling image towards {name}. " + "; ".join(changes) + ".",
        "one image, the middle one of the tried",
        str(CASE_SEED),
        photos=True,
    )
