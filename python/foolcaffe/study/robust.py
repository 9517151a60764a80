"""Digits behind a threshold and in an RBF network, against the linear net's worst changes and the defence's own."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from foolcaffe.render import Overrides
from foolcaffe.study import digits
from foolcaffe.study.common import CASE_SEED
from foolcaffe.study.lab import Lab
from foolcaffe.study.record import NOTE, Check, Claim
from foolcaffe.style import BLUE, GREEN, ORANGE, styled

DECAY = 100.0
LEVELS = (4.0, 8.0, 16.0, 32.0, 64.0)
EPS = 32.0
"""That the claims are about: an eighth of the range, well short of the threshold of half."""


def measured(lab: Lab, seed: int) -> dict[str, Any]:
    """Shares of test digits that stay right, of nets trained with this seed: clean, and at each of ``LEVELS``."""
    grey, labels = digits.digits()
    x, y = grey[digits.TRAINING :], labels[digits.TRAINING :]
    shrunk = (64 / digits.SIDE) ** 2
    overrides = Overrides(base_lr=1e-7 * shrunk, weight_decay=DECAY / shrunk, std=1e-4 * shrunk**0.5, seed=seed)
    nets = {}
    for name, binary in (("linear", False), ("binarized", True)):
        view = digits.view(lab.root / f"digits-{name}", binary)
        trained = lab.trained(f"{name}-seed{seed}", overrides, view=view, side=digits.SIDE)
        nets[name] = digits.Linear.of(trained.classifier())
    rbf = digits.RbfNetwork(grey[: digits.TRAINING], labels[: digits.TRAINING], seed)

    def right(name: str, images: Any) -> float:
        if name == "RBF":
            return float((rbf.probabilities(images).argmax(axis=1) == y).mean())
        seen = digits.binarized(images) if name == "binarized" else images
        scores = nets[name].scores(seen)
        own = scores[np.arange(len(y)), y].copy()
        scores[np.arange(len(y)), y] = -np.inf
        return float((own > scores.max(axis=1)).mean())

    out: dict[str, Any] = {"images": len(y), "clean": {name: right(name, x) for name in ("linear", "binarized", "RBF")}}
    for kind in ("same", "knowing"):
        out[kind] = {name: [] for name in out["clean"]}
    for eps in LEVELS:
        transferred = digits.worst_linear(nets["linear"], x, y, eps)
        worst = {
            "linear": transferred,
            "binarized": digits.worst_binarized(nets["binarized"], x, y, eps),
            "RBF": digits.worst_rbf(rbf, x, y, eps, np.random.default_rng(CASE_SEED)),
        }
        for name, images in worst.items():
            out["same"][name].append(right(name, transferred))
            # the attack that knows the defence may as well take the other's image where that is worse
            out["knowing"][name].append(min(right(name, images), right(name, transferred)))
    return out


def _means(robust: dict[int, dict[str, Any]], kind: str, name: str) -> list[float]:
    return [float(v) for v in np.mean([r[kind][name] for r in robust.values()], axis=0)]


def claims(robust: dict[int, dict[str, Any]]) -> list[Claim]:
    """What the note says of both defences, beside the means over the seeds."""
    at = LEVELS.index(EPS)
    clean = {
        name: float(np.mean([r["clean"][name] for r in robust.values()])) for name in ("linear", "binarized", "RBF")
    }
    same = {name: _means(robust, "same", name)[at] for name in clean}
    knowing = {name: _means(robust, "knowing", name)[at] for name in clean}

    def told(name: str) -> str:
        return (
            f"On digits, {100 * clean[name]:.1f} % are right (bare linear net: {100 * clean['linear']:.1f} %); with "
            "changes of at most "
            f"{EPS:g} grey levels made on the linear net {100 * same[name]:.0f} % stay right (bare: "
            f"{100 * same['linear']:.0f} %), with changes "
            f"that know the defence {100 * knowing[name]:.0f} %."
        )

    gain = {name: 100 * (knowing[name] - knowing["linear"]) for name in clean}
    return [
        Claim(
            "binarization",
            NOTE,
            "Binarization - Highly effective where it is applicable without hurting accuracy, such as reading text",
            told("binarized"),
            [
                Check("right under the attack that knows it, gained", gain["binarized"], "≥", 30.0, "points"),
                Check("clean accuracy lost", 100 * (clean["linear"] - clean["binarized"]), "≤", 2.0, "points"),
            ],
        ),
        Claim(
            "rbf",
            NOTE,
            "RBF networks (Goodfellow et al. (2015)) are resistant to adversarial examples due to their non-linearity.",
            told("RBF"),
            [
                Check("right under the attack that knows it, gained", gain["RBF"], "≥", 30.0, "points"),
                Check("right under the attack that knows it", 100 * knowing["RBF"], "≥", 50.0, "%"),
            ],
        ),
    ]


def plot(lab: Lab, robust: dict[int, dict[str, Any]]) -> None:
    """The table and the figure."""
    seeds = ", ".join(map(str, lab.scale.seeds))
    images = next(iter(robust.values()))["images"]
    with styled():
        canvas = Figure(figsize=(10, 4), layout="constrained")
        for axes, kind, title in zip(
            canvas.subplots(1, 2, sharey=True),
            ("same", "knowing"),
            ("made on the linear net", "made knowing the defence"),
        ):
            for name, colour in (("linear", BLUE), ("binarized", ORANGE), ("RBF", GREEN)):
                means = [float(np.mean([r["clean"][name] for r in robust.values()])), *_means(robust, kind, name)]
                axes.plot(range(len(means)), [100 * m for m in means], "o-", color=colour, lw=1.4, ms=4, label=name)
                for r in robust.values():
                    axes.plot(
                        range(len(means)),
                        [100 * v for v in (r["clean"][name], *r[kind][name])],
                        ".",
                        color=colour,
                        ms=3,
                        alpha=0.6,
                    )
            axes.set_xticks(range(len(LEVELS) + 1), ["0", *(f"{e:g}" for e in LEVELS)])
            axes.set_ylim(-3, 103)
            axes.set_xlabel("largest change of a pixel (grey levels)")
            axes.set_ylabel("digits that stay right (%)")
            axes.set_title(title)
            axes.legend(fontsize=9)
    lab.table(
        "digits",
        "Digits that stay right (%), mean of the seeds",
        ["classifier", "attack", "clean", *(f"ε {e:g}" for e in LEVELS)],
        [
            [
                name,
                kind,
                100 * float(np.mean([r["clean"][name] for r in robust.values()])),
                *(100 * v for v in _means(robust, kind, name)),
            ]
            for name in ("linear", "binarized", "RBF")
            for kind in ("same", "knowing")
        ],
    )
    knowing = {
        name: 100 * _means(robust, "knowing", name)[LEVELS.index(EPS)] for name in ("linear", "binarized", "RBF")
    }
    lab.figure(
        "digits",
        canvas,
        "Binarization and an RBF network on digits",
        f"Digits that stay right over the largest change. Knowing the defence, at {EPS:g} levels: "
        + ", ".join(f"{name} {v:.0f} %" for name, v in knowing.items())
        + ".",
        f"{images} test digits",
        seeds,
    )
