"""Each defence with its clean accuracy, the attack on the bare net, and an attack of the same size that knows it.

Attacked are images that the bare net gets right. Strengths are not chosen by hand: each defence has a ladder of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from caffefiles.datum import DatumLMDB
from foolcaffe.attacks.base import Criterion, Floats
from foolcaffe.attacks.exact import exact
from foolcaffe.attacks.pgd import pgd
from foolcaffe.classifier import Classifier
from foolcaffe.difficulty import spread_images
from foolcaffe.errors import FoolCaffeError
from foolcaffe.study.common import BATCH, CASE_SEED, DECAY, decay_name, paired_error, percent, stack
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.parts.mitigations import nonlinear
from foolcaffe.study.parts.mitigations.defences import Defended, blurred, cropped, noised
from foolcaffe.study.record import NOTE, Check, Claim
from foolcaffe.style import BLUE, GREEN, RED, styled

SURE = 0.99
CLEAN, ATTACKED = 5000, 100
"""Validation images for the accuracy, and images that are attacked, at most."""
STEPS = 40
NOISES, BLURS, CROPS = (8.0, 32.0, 128.0, 512.0), (0.5, 1.0, 2.0, 4.0), (0.875, 0.75, 0.5)
"""σ of the noise in grey levels, of the blur in pixels; the part of the side that a crop keeps."""
KNOWN_DRAWS, SHOWN_DRAWS = 8, 8
"""Of noise: those that the attack averages over, and others that judge."""
SOMEWHAT, KEPT = 10.0, 50.0
"""Points by which both attacks must fall for a defence to be somewhat effective; per cent of the bare net's accuracy
that it must keep, for a net that answers at random cannot be fooled either."""
Answers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Defence:
    """A defence at one strength.

    Attributes:
        family, name: which, and how strong.
        known: what an attack that knows it climbs.
        answers: images → draws × images, the class seen; one draw where nothing is drawn.
    """

    family: str
    name: str
    known: Classifier | Defended
    answers: Callable[[Floats], Answers]


def run(lab: Lab) -> list[Claim]:
    """Defend, attack, judge."""
    found = lab.step("defences", _measure)
    table = found["rows"]
    lab.table(
        "defences",
        f"Defences of the linear net; attacks change an image as much as it takes to make the bare net "
        f"{percent(SURE)} sure",
        [{"defence": d["name"], **{column: 100 * d[key] for column, key in SHARES.items()}} for d in table],
    )
    _plot(lab, found)
    right = {seed: lab.step(f"letters{seed}", nonlinear.measured, seed) for seed in lab.scale.seeds}
    nonlinear.plot(lab, right)
    return [*_claims(table), *nonlinear.claims(right)]


SHARES = {
    "clean top-1 (%)": "clean",
    "less than bare (points)": "lost",
    "its standard error (points)": "error",
    "attack on the bare net reaches its class (%)": "same",
    "right all the same (%)": "right_same",
    "right on images that just fool the bare net (%)": "right_just",
    "attack that knows it reaches its class (%)": "knowing",
    "right all the same, knowing (%)": "right_knowing",
}
"""Columns of the table, and the keys of a defence's shares in them."""


def _measure(lab: Bench) -> dict[str, Any]:
    seed = lab.scale.seeds[0]
    net = lab.decayed(DECAY, seed).classifier()
    database = lab.dataset / "val_lmdb"
    with DatumLMDB(database) as records:
        count = min(CLEAN, len(records))
    clean = spread_images(database, count)
    images, labels = stack([image for image, _ in clean]), np.array([label for _, label in clean])
    bare = net.scores(images).argmax(axis=1) == labels
    usable = np.flatnonzero(bare)
    if not len(usable):
        raise FoolCaffeError("the linear net gets no validation image right, so none can be fooled", "train it longer")
    usable = usable[:: max(1, len(usable) // min(ATTACKED, lab.scale.images))][: min(ATTACKED, lab.scale.images)]
    rng = np.random.default_rng(CASE_SEED)
    targets = (labels[usable] + rng.integers(1, net.classes, len(usable))) % net.classes
    lab.say(f"attacking {len(usable)} images that the bare net gets right")
    fooled = {
        kind: [exact(net, clean[i][0], Criterion(int(t), confidence), seed=CASE_SEED) for i, t in zip(usable, targets)]
        for kind, confidence in (("just", None), ("sure", SURE))
    }
    reached = np.array([a.success["image"] and b.success["image"] for a, b in zip(fooled["just"], fooled["sure"])])
    start, truth, targets = images[usable][reached], labels[usable][reached], targets[reached]
    just, sure = (stack([r.image for r, good in zip(fooled[k], reached) if good]) for k in ("just", "sure"))
    sizes = np.array([r.distances.l2 for r, good in zip(fooled["sure"], reached) if good])
    rows = []
    for defence in _ladder(lab, net, rng):
        lab.say(f"defence: {defence.name}")
        right = (defence.answers(images) == labels).mean(axis=0)
        knowing = defence.answers(pgd(defence.known, start, targets, sizes, "l2", STEPS))
        same = defence.answers(sure)
        rows.append(
            {
                "family": defence.family,
                "name": defence.name,
                "clean": float(right.mean()),
                "lost": float((bare - right).mean()),
                "error": paired_error(bare.astype(float), right),
                "same": float((same == targets).mean()),
                "right_same": float((same == truth).mean()),
                "right_just": float((defence.answers(just) == truth).mean()),
                "knowing": float((knowing == targets).mean()),
                "right_knowing": float((knowing == truth).mean()),
            }
        )
    return {"rows": rows, "images": len(images), "attacked": len(start), "size": float(np.median(sizes))}


def _ladder(lab: Bench, net: Classifier, rng: np.random.Generator) -> list[Defence]:
    def still(known: Classifier | Defended) -> Callable[[Floats], Answers]:
        return lambda images: np.concatenate([known.probabilities(p).argmax(axis=1) for p in _parts(images)])[None]

    def noisy(sigma: float) -> Callable[[Floats], Answers]:
        """Noise of its own for every image, other than what the attack has seen."""
        return lambda images: np.stack(
            [
                np.concatenate(
                    [
                        net.scores(part + rng.normal(0, sigma, part.shape).astype(np.float32)).argmax(axis=1)
                        for part in _parts(images)
                    ]
                )
                for _ in range(SHOWN_DRAWS if len(images) <= ATTACKED else 1)
            ]
        )

    out = [Defence("none", "none", net, still(net))]
    for decay in lab.scale.decays:
        if decay > DECAY:
            strong = lab.decayed(decay, lab.scale.seeds[0]).classifier()
            out.append(Defence("regularization", f"weight decay {decay_name(decay)}", strong, still(strong)))
    for sigma in NOISES:
        out.append(Defence("noise", f"noise, σ {sigma:g}", noised(net, sigma, KNOWN_DRAWS, rng), noisy(sigma)))
    for sigma in BLURS:
        soft = blurred(net, sigma)
        out.append(Defence("blur", f"blur, σ {sigma:g} pixels", soft, still(soft)))
    for part in CROPS:
        corners = cropped(net, part)
        out.append(Defence("crops", f"5 crops of {100 * part:g} %", corners, still(corners)))
    return out


def _parts(images: Floats) -> list[Floats]:
    """Few enough at once for the memory."""
    return [images[begin : begin + BATCH] for begin in range(0, len(images), BATCH)]


def _claims(table: list[dict[str, Any]]) -> list[Claim]:
    none = table[0]
    families = {
        name: [d for d in table if d["family"] == name] for name in ("regularization", "noise", "blur", "crops")
    }

    def useful(d: dict[str, Any]) -> bool:
        return bool(100 * d["clean"] >= KEPT * none["clean"])

    def fall(d: dict[str, Any]) -> float:
        return float(min(none["same"] - d["same"], none["knowing"] - d["knowing"]))

    def chosen(family: list[dict[str, Any]]) -> dict[str, Any]:
        """The weakest that is somewhat effective and useful; if none is, the useful one that stops most."""
        usable = [d for d in family if useful(d)] or family[:1]
        return next((d for d in usable if 100 * fall(d) >= SOMEWHAT), max(usable, key=fall))

    def sentence(d: dict[str, Any]) -> str:
        return (
            f"With {d['name']} the attack on the bare net reaches its class on {100 * d['same']:.0f} %, one of that "
            f"size that knows the defence on {100 * d['knowing']:.0f} % (bare net: {100 * none['same']:.0f} and "
            f"{100 * none['knowing']:.0f} %); clean top-1 is {100 * d['clean']:.1f} % (bare: "
            f"{100 * none['clean']:.1f} %)."
        )

    def fewer(d: dict[str, Any]) -> list[Check]:
        return [
            Check(
                "attacks on the bare net that succeed, fewer by",
                100 * (none["same"] - d["same"]),
                "≥",
                SOMEWHAT,
                "points",
            ),
            Check("attacks that know it, fewer by", 100 * (none["knowing"] - d["knowing"]), "≥", SOMEWHAT, "points"),
            Check("clean top-1 kept, of the bare net’s", 100 * d["clean"] / none["clean"], "≥", KEPT, "%"),
        ]

    def cost(d: dict[str, Any]) -> Check:
        return Check("clean top-1 lost, against two standard errors", 100 * d["lost"], "≥", 200 * d["error"], "points")

    strong = next((d for d in families["regularization"][::-1] if useful(d)), families["regularization"][0])
    noise, blur = chosen(families["noise"]), chosen(families["blur"])
    crops = max(families["crops"], key=lambda d: d["right_just"])
    weakest = " It is the weakest strength tried that is somewhat effective, or, if none is, the one that stops most."
    return [
        Claim(
            "regularization",
            NOTE,
            "regularization is effective for linear classifiers. It reduces the size of the weights so the image has "
            "to be changed more drastically in order to get the same misclassification. However, this comes at a cost "
            "in accuracy.",
            sentence(strong)
            + " "
            + " ".join(
                f"{d['name'].capitalize()}: {100 * d['knowing']:.0f} % and {100 * d['clean']:.1f} %."
                for d in families["regularization"]
                if d is not strong
            ),
            [*fewer(strong), cost(strong)],
        ),
        Claim(
            "noise",
            NOTE,
            "Adding noise - Somewhat effective but hurts accuracy",
            sentence(noise) + weakest,
            [*fewer(noise), cost(noise)],
        ),
        Claim(
            "blur",
            NOTE,
            "Blurring - Somewhat effective but hurts accuracy",
            sentence(blur) + weakest,
            [*fewer(blur), cost(blur)],
        ),
        Claim(
            "crops",
            NOTE,
            "Averaging over multiple crops - Can be sufficient to correctly classify the majority of adversarial "
            "examples.",
            f"Averaging over {crops['name']}, the best of those tried, gets {100 * crops['right_just']:.0f} % of the "
            f"images right that just fool the bare net, {100 * crops['right_same']:.0f} % of those that it is "
            f"{percent(SURE)} sure of, and {100 * crops['right_knowing']:.0f} % of those of the same size made knowing "
            f"it. Clean top-1 is {100 * crops['clean']:.1f} % (bare: {100 * none['clean']:.1f} %).",
            [
                Check("right, images that just fool the bare net", 100 * crops["right_just"], ">", 50.0, "%"),
                Check(f"right, images that it is {percent(SURE)} sure of", 100 * crops["right_same"], ">", 50.0, "%"),
                Check(
                    "not turned into its class by the attack that knows it",
                    100 * (1 - crops["knowing"]),
                    ">",
                    50.0,
                    "%",
                ),
            ],
        ),
    ]


def _plot(lab: Lab, found: dict[str, Any]) -> None:
    table = found["rows"]
    names = {"regularization": "regularization", "noise": "noise", "blur": "blur", "crops": "average over crops"}
    with styled():
        canvas = Figure(figsize=(11, 4.4), layout="constrained")
        for axes, (family, title) in zip(canvas.subplots(1, len(names), sharey=True), names.items()):
            rows = [table[0], *(d for d in table if d["family"] == family)]
            for key, name, colour, mark in (
                ("same", "attack on the bare net succeeds", BLUE, "s-"),
                ("knowing", "attack that knows the defence succeeds", RED, "o-"),
                ("right_just", "right on images that just fool the bare net", GREEN, "D-"),
            ):
                axes.plot(range(len(rows)), [100 * d[key] for d in rows], mark, color=colour, lw=1.4, ms=4, label=name)
            kept = [100 * d["clean"] / table[0]["clean"] for d in rows]
            axes.plot(range(len(rows)), kept, "^--", color="black", lw=1.2, ms=4, label="clean top-1, bare net’s = 100")
            axes.set_xticks(range(len(rows)), ["none", *(d["name"].split(" ", 2)[-1] for d in rows[1:])], fontsize=8)
            axes.tick_params(axis="x", rotation=35)
            axes.set(ylim=(-4, None), title=title, xlabel="strength", ylabel="images (%)")
        canvas.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9)
    lab.figure(
        "defences",
        canvas,
        "Defences from weak to strong: what they cost, and what is left of them once they are known",
        "For each defence, clean top-1, success of the attack on the bare net, and of one that knows it: "
        + "; ".join(
            f"{d['name']}: {100 * d['clean']:.1f} %, {100 * d['same']:.0f} %, {100 * d['knowing']:.0f} %" for d in table
        )
        + ".",
        f"{found['images']} clean and {found['attacked']} attacked validation images",
        f"targets and noise {CASE_SEED}, training {lab.scale.seeds[0]}",
    )
