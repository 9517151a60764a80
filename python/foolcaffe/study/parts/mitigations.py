"""Each defence with its clean accuracy, the same attack, and an attack that knows it; and the background class."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from foolcaffe.attacks import METHODS, Criterion
from foolcaffe.datums import DatumLMDB
from foolcaffe.difficulty import starts
from foolcaffe.net import Classifier
from foolcaffe.study import background, robust
from foolcaffe.study.common import CASE_SEED, Case, cases, decay_name, stack
from foolcaffe.study.defences import Defended, blurred, cropped, noised
from foolcaffe.study.lab import Lab
from foolcaffe.study.record import NOTE, Check, Claim
from foolcaffe.style import BLUE, GREEN, RED, styled

DECAY = 100.0
SURE = 0.99
CLEAN = 500
"""Validation images for the accuracy."""
ATTACKED = 60
"""Images that are attacked, at most."""
STEPS = 30
NOISE_SIGMA, NOISE_DRAWS, BLUR_SIGMA, CROP = 32.0, 8, 2.0, 0.75
SOMEWHAT = 10.0
"""Points by which a success must fall to be somewhat fewer."""


def run(lab: Lab) -> list[Claim]:
    """Defend, attack, judge."""
    table = lab.step("defences", lambda: _defences(lab))
    lab.table(
        "defences",
        f"Defences of the linear net against changes that make the bare one {SURE:.0%} sure, of that L2 norm",
        [
            "defence",
            "clean top-1 (%)",
            "same attack succeeds (%)",
            "class seen before is back (%)",
            "knowing attack succeeds (%)",
        ],
        [[d["name"], *(100 * d[k] for k in ("clean", "same", "back", "knowing"))] for d in table],
    )
    _plot_defences(lab, table)
    right = {seed: lab.step(f"digits{seed}", lambda s=seed: robust.measured(lab, s)) for seed in lab.scale.seeds}  # type: ignore[misc]
    robust.plot(lab, right)
    rounds = [lab.step(f"round{r}", lambda r=r: background.measured(lab, r)) for r in range(background.ROUNDS + 1)]  # type: ignore[misc]
    background.plot(lab, rounds)
    return [*_claims(table), *robust.claims(right), background.claim(rounds)]


# The linear net behind blur, noise, crops; and more regularization


def _defences(lab: Lab) -> list[dict[str, Any]]:
    seed = lab.scale.seeds[0]
    net = lab.decayed(DECAY, seed).classifier()
    strong = lab.decayed(lab.scale.decays[-1], seed).classifier()
    rng = np.random.default_rng(CASE_SEED)
    with DatumLMDB(lab.dataset / "val_lmdb") as records:
        count = min(CLEAN, len(records))
    clean = starts(lab.dataset / "val_lmdb", count)
    images, labels = stack([image for image, _ in clean]), np.array([label for _, label in clean])
    chosen = cases(lab.dataset, [net, strong], min(lab.scale.images, ATTACKED))
    attacked = []
    for case in chosen:
        found = METHODS["exact"](net, case.start, Criterion(case.target, SURE), seed=CASE_SEED)
        if found.success["image"]:
            attacked.append((case, found))
    before = net.scores(stack([case.start for case, _ in attacked])).argmax(axis=1)
    soft, corners = blurred(net, BLUR_SIGMA), cropped(net, CROP)
    # what is attacked and what judges draw their noise apart
    kinds: list[tuple[str, Any, Any]] = [
        ("none", net, net),
        (f"regularization (decay {decay_name(lab.scale.decays[-1])})", strong, strong),
        (
            f"noise (σ {NOISE_SIGMA:g})",
            noised(net, NOISE_SIGMA, NOISE_DRAWS, rng),
            noised(net, NOISE_SIGMA, NOISE_DRAWS, rng),
        ),
        (f"blur (σ {BLUR_SIGMA:g} pixels)", soft, soft),
        ("crops (5)", corners, corners),
    ]
    out = []
    for name, known, judge in kinds:
        lab.say(f"defence: {name}")
        answers = judge.probabilities(stack([found.image for _, found in attacked])).argmax(axis=1)
        knowing = [_knowing(known, judge, case, found.distances.l2) for case, found in attacked]
        out.append(
            {
                "name": name,
                "clean": float((judge.probabilities(images).argmax(axis=1) == labels).mean()),
                "same": float(np.mean([a == case.target for a, (case, _) in zip(answers, attacked)])),
                "back": float((answers == before).mean()),
                "knowing": float(np.mean(knowing)),
                "attacked": len(attacked),
                "images": count,
            }
        )
    return out


def _knowing(known: Classifier | Defended, judge: Classifier | Defended, case: Case, size: float) -> bool:
    """Whether an attack that knows the defence, no larger than the one on the bare net, turns the class."""
    criterion = Criterion(case.target, SURE)  # aims beyond the class, for the judge draws other noise
    found = METHODS["iterated"](known, case.start, criterion, norm="l2", eps=size, steps=STEPS, seed=CASE_SEED)
    return int(judge.probabilities(found.image.to_bgr())[0].argmax()) == case.target


def _claims(table: list[dict[str, Any]]) -> list[Claim]:
    none, strong, noise, blur, crops = table
    two = 200 * float(np.sqrt(none["clean"] * (1 - none["clean"]) / none["images"]))

    def told(d: dict[str, Any]) -> str:
        return (
            f"With {d['name']} the same attack succeeds on {100 * d['same']:.0f} %, one that knows it, of the same "
            "size, on "
            f"{100 * d['knowing']:.0f} % (bare net: {100 * none['same']:.0f} and {100 * none['knowing']:.0f} %); "
            "clean top-1 "
            f"is {100 * d['clean']:.1f} % (bare: {100 * none['clean']:.1f} %)."
        )

    def fewer(d: dict[str, Any], key: str) -> Check:
        words = {"same": "the same attack", "knowing": "the attack that knows it"}[key]
        return Check(f"success of {words}, bare less defended", 100 * (none[key] - d[key]), "≥", SOMEWHAT, "points")

    def cost(d: dict[str, Any]) -> Check:
        return Check(
            "clean top-1, bare less defended, against two standard errors",
            100 * (none["clean"] - d["clean"]),
            "≥",
            two,
            "points",
        )

    return [
        Claim(
            "regularization",
            NOTE,
            "regularization is effective for linear classifiers. It reduces the size of "
            "the weights so the image "
            "has to be changed more drastically in order to get the same misclassification. However, this comes at "
            "a cost in accuracy.",
            told(strong),
            [fewer(strong, "same"), fewer(strong, "knowing"), cost(strong)],
        ),
        Claim(
            "noise",
            NOTE,
            "Adding noise - Somewhat effective but hurts accuracy",
            told(noise),
            [fewer(noise, "same"), fewer(noise, "knowing"), cost(noise)],
        ),
        Claim(
            "blur",
            NOTE,
            "Blurring - Somewhat effective but hurts accuracy",
            told(blur),
            [fewer(blur, "same"), fewer(blur, "knowing"), cost(blur)],
        ),
        Claim(
            "crops",
            NOTE,
            "Averaging over multiple crops - Can be sufficient to correctly classify the majority "
            "of adversarial examples.",
            told(crops) + f" The class that was seen before the attack is back on {100 * crops['back']:.0f} %.",
            [
                Check("classes that are back, same attack", 100 * crops["back"], ">", 50.0, "%"),
                Check("not fooled by the attack that knows it", 100 * (1 - crops["knowing"]), ">", 50.0, "%"),
            ],
        ),
    ]


def _plot_defences(lab: Lab, table: list[dict[str, Any]]) -> None:
    place = np.arange(len(table))
    with styled():
        canvas = Figure(figsize=(9.5, 4.2), layout="constrained")
        axes = canvas.subplots()
        for key, name, colour, shift in (
            ("clean", "clean top-1", GREEN, -0.27),
            ("same", "same attack succeeds", BLUE, 0.0),
            ("knowing", "knowing attack succeeds", RED, 0.27),
        ):
            bars = axes.bar(place + shift, [100 * d[key] for d in table], 0.26, color=colour, label=name)
            axes.bar_label(bars, [f"{100 * d[key]:.0f}" for d in table], fontsize=8)
        axes.set_xticks(place, [d["name"].replace(" (", "\n(") for d in table])
        axes.set_ylim(0, 118)
        axes.set_xlabel("defence of the linear net")
        axes.set_ylabel("images (%)")
        axes.legend(fontsize=9, ncols=3, loc="upper right")
    lab.figure(
        "defences",
        canvas,
        "Defences: what they cost, and what is left of them once they are known",
        "Bars for each defence: "
        + "; ".join(
            f"{d['name']}: clean {100 * d['clean']:.0f} %, same attack "
            f"{100 * d['same']:.0f} %, "
            f"knowing attack {100 * d['knowing']:.0f} %"
            for d in table
        )
        + ".",
        f"{table[0]['images']} clean and {table[0]['attacked']} attacked validation images",
        f"targets and noise {CASE_SEED}, training {lab.scale.seeds[0]}",
    )
