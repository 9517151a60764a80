"""Letters behind a threshold and in an RBF network, against the linear net's worst changes and the defence's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from foolcaffe.attacks.base import Batch, Criterion, Floats
from foolcaffe.attacks.square import square
from foolcaffe.images import BgrPixels
from foolcaffe.study.common import CASE_SEED, percent, scaled
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.parts.mitigations import letters
from foolcaffe.study.record import NOTE, Check, Claim
from foolcaffe.style import BLUE, GREEN, GREY, ORANGE, styled

LEVELS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
BROKEN = 0.1
"""The claims are about the least of these ε at which no more of the bare linear net's letters stay right."""
BLACK_BOX, QUERIES = 60, 500
"""Letters on which the RBF network is attacked by scores alone too, and queries for each."""
NAMES = ("linear", "binarized", "RBF", "ReLU")
COLOURS = (BLUE, ORANGE, GREEN, GREY)


@dataclass
class GreyScores:
    """A network on grey pixels as something that attacks on colour images can ask: it looks at the first channel."""

    net: letters.Smooth
    shape: tuple[int, int, int] = (3, letters.SIDE, letters.SIDE)
    classes: int = letters.CLASSES
    queries: int = field(default=0)

    def probabilities(self, images: Batch) -> Floats:
        """Images × classes."""
        batch = images.array[None] if isinstance(images, BgrPixels) else images
        self.queries += len(batch)
        rows = batch[:, 0].reshape(len(batch), -1).astype(np.float64)
        return np.asarray(self.net.probabilities(rows), np.float32)


def measured(lab: Bench, seed: int) -> dict[str, Any]:
    """Shares of test letters that stay right, of nets trained with this seed: clean, and at each of ``LEVELS``."""
    lab.say(f"letters, seed {seed}")
    grey, labels = letters.letters()
    x, y = grey[letters.TRAINING :], labels[letters.TRAINING :]
    nets = {}
    for name, binary in (("linear", False), ("binarized", True)):
        view = letters.view(lab.root / f"letters-{name}", binary)
        trained = lab.trained(
            f"{name}-seed{seed}", scaled(letters.SIDE, seed, lab.scale.iterations), view=view, side=letters.SIDE
        )
        nets[name] = letters.Linear.of(trained.classifier())
    smooth: dict[str, letters.Smooth] = {
        "RBF": letters.RbfNetwork(grey[: letters.TRAINING], labels[: letters.TRAINING], seed),
        "ReLU": letters.ReluNetwork(grey[: letters.TRAINING], labels[: letters.TRAINING], seed),
    }

    def right(name: str, images: Any) -> Any:
        if name in smooth:
            return smooth[name].probabilities(images).argmax(axis=1) == y[: len(images)]
        scores = nets[name].scores(letters.binarized(images) if name == "binarized" else images)
        own = scores[np.arange(len(images)), y[: len(images)]].copy()
        scores[np.arange(len(images)), y[: len(images)]] = -np.inf
        return own > scores.max(axis=1)

    out: dict[str, Any] = {"images": len(y), "clean": {name: float(right(name, x).mean()) for name in NAMES}}
    for kind in ("same", "knowing"):
        out[kind] = {name: [] for name in NAMES}
    for eps in LEVELS:
        worst = {
            "linear": letters.worst_linear(nets["linear"], x, y, eps),
            "binarized": letters.worst_binarized(nets["binarized"], x, y, eps),
            **{
                name: letters.worst_smooth(net, x, y, eps, np.random.default_rng(CASE_SEED))
                for name, net in smooth.items()
            },
        }
        for name in NAMES:
            out["same"][name].append(float(right(name, worst["linear"]).mean()))
            # the attack that knows the defence may as well take another's image where that is worse
            stays = np.all([right(name, images) for images in worst.values()], axis=0)
            out["knowing"][name].append(float(stays.mean()))
        if "black" not in out and (out["knowing"]["linear"][-1] <= BROKEN or eps == LEVELS[-1]):
            out["gradients"] = float(right("RBF", worst["RBF"][:BLACK_BOX]).mean())
            out["black"] = float(right("RBF", _black_box(smooth["RBF"], x[:BLACK_BOX], y, eps)).mean())
    return out


def _black_box(net: letters.Smooth, grey: letters.Grey, labels: letters.Labels, eps: float) -> letters.Grey:
    """What the square attack finds by scores alone: if it finds more than gradients do, those are masked."""
    out = []
    for row, label in zip(grey, labels):
        pixels = np.repeat(row.reshape(1, letters.SIDE, letters.SIDE), 3, axis=0).astype(np.float32)
        found = square(
            GreyScores(net),
            BgrPixels(pixels).to_rgb8(),
            Criterion(label=int(label)),
            eps=eps,
            steps=QUERIES,
            seed=CASE_SEED,
        )
        out.append(found.image.to_bgr().array[0].reshape(-1).astype(np.float64))
    return np.stack(out)


def _mean(robust: dict[int, dict[str, Any]], kind: str, name: str) -> Any:
    return np.mean([r[kind][name] for r in robust.values()], axis=0)


def claims(robust: dict[int, dict[str, Any]]) -> list[Claim]:
    """What the note says of both defences, beside the means over the seeds."""
    bare = _mean(robust, "knowing", "linear")
    at = next((i for i, share in enumerate(bare) if share <= BROKEN), len(LEVELS) - 1)
    clean = {name: float(_mean(robust, "clean", name)) for name in NAMES}
    same = {name: float(_mean(robust, "same", name)[at]) for name in NAMES}
    knowing = {name: float(_mean(robust, "knowing", name)[at]) for name in NAMES}
    spread = {name: 100 * float(np.ptp([r["knowing"][name][at] for r in robust.values()])) for name in NAMES}
    black, gradients = (float(np.mean([r[key] for r in robust.values()])) for key in ("black", "gradients"))

    def sentence(name: str) -> str:
        return (
            f"On letters, {100 * clean[name]:.1f} % are right (bare linear net: {100 * clean['linear']:.1f} %). "
            f"Changes of at most {LEVELS[at]:g} grey levels, the least tried that leave the bare net {percent(BROKEN)} "
            f"or less, leave it {100 * knowing['linear']:.0f} %; made on that net they leave this one "
            f"{100 * same[name]:.0f} %, made knowing it {100 * knowing[name]:.0f} % ({len(robust)} seeds, within "
            f"{spread[name]:.0f} points)."
        )

    gain = {name: 100 * (knowing[name] - knowing["linear"]) for name in NAMES}
    return [
        Claim(
            "binarization",
            NOTE,
            "Binarization - Highly effective where it is applicable without hurting accuracy, such as reading text",
            sentence("binarized"),
            [
                Check("clean accuracy lost", 100 * (clean["linear"] - clean["binarized"]), "≤", 2.0, "points"),
                Check("right under the attack that knows it, gained", gain["binarized"], "≥", 30.0, "points"),
                Check("right under the attack that knows it", 100 * knowing["binarized"], "≥", 50.0, "%"),
            ],
        ),
        Claim(
            "rbf",
            NOTE,
            "RBF networks (Goodfellow et al. (2015)) are resistant to adversarial examples due to their non-linearity.",
            sentence("RBF")
            + f" A ReLU network, linear in pieces, has {100 * clean['ReLU']:.1f} % and keeps "
            + f"{100 * knowing['ReLU']:.0f} %. The square attack, which needs no gradient, leaves the RBF network "
            + f"{100 * black:.0f} % of {BLACK_BOX} letters, projected gradients {100 * gradients:.0f} %.",
            [
                Check("clean accuracy lost", 100 * (clean["linear"] - clean["RBF"]), "≤", 2.0, "points"),
                Check("right under the attack that knows it, gained", gain["RBF"], "≥", 30.0, "points"),
                Check("right under the attack that knows it", 100 * knowing["RBF"], "≥", 50.0, "%"),
                Check("the same, above a ReLU network", 100 * (knowing["RBF"] - knowing["ReLU"]), "≥", 10.0, "points"),
                Check(
                    "gradients are not hidden: the square attack finds more by",
                    100 * (gradients - black),
                    "≤",
                    5.0,
                    "points",
                ),
            ],
        ),
    ]


def plot(lab: Lab, robust: dict[int, dict[str, Any]]) -> None:
    """The table and the figure."""
    images = next(iter(robust.values()))["images"]
    place = range(len(LEVELS) + 1)
    with styled():
        canvas = Figure(figsize=(10, 4), layout="constrained")
        for axes, kind, title in zip(
            canvas.subplots(1, 2, sharey=True),
            ("same", "knowing"),
            ("made on the linear net", "made knowing the classifier"),
        ):
            for name, colour in zip(NAMES, COLOURS):
                for r in robust.values():
                    axes.plot(place, [100 * v for v in (r["clean"][name], *r[kind][name])], ".", color=colour, ms=4)
                means = [_mean(robust, "clean", name), *_mean(robust, kind, name)]
                axes.plot(place, [100 * float(m) for m in means], "-", color=colour, lw=1.4, label=name)
            axes.set_xticks(place, ["0", *(f"{e:g}" for e in LEVELS)])
            axes.set(
                ylim=(-3, 103),
                xlabel="largest change of a pixel (grey levels)",
                ylabel="letters that stay right (%)",
                title=title,
            )
            axes.legend(fontsize=9)
    lab.table(
        "letters",
        "Letters that stay right (%), mean of the seeds",
        [
            {
                "classifier": name,
                "attack": attack,
                "clean": 100 * float(_mean(robust, "clean", name)),
                **{f"ε {e:g}": 100 * v for e, v in zip(LEVELS, _mean(robust, kind, name).tolist())},
            }
            for name in NAMES
            for kind, attack in (("same", "made on the linear net"), ("knowing", "made knowing it"))
        ],
    )
    shown = (2, 3)
    lab.figure(
        "letters",
        canvas,
        "Letters read by a linear net, behind binarization, by an RBF network and by a ReLU network; dots are seeds",
        "Letters that stay right over the largest change. Made knowing the classifier: "
        + "; ".join(
            f"{name} "
            + ", ".join(f"{100 * _mean(robust, 'knowing', name)[i]:.0f} % at {LEVELS[i]:g} levels" for i in shown)
            for name in NAMES
        )
        + ".",
        f"{images} test letters",
        f"letters {letters.SEED}, trainings {', '.join(map(str, lab.scale.seeds))}",
    )
