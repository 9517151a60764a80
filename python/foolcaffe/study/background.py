"""The background class: fed with fooling images, round after round, and attacked anew."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from foolcaffe.attacks import METHODS, Criterion
from foolcaffe.datums import DatumLMDB, Record
from foolcaffe.difficulty import starts
from foolcaffe.lmdb.reader import Reader
from foolcaffe.net import Classifier
from foolcaffe.render import Overrides
from foolcaffe.study.common import CASE_SEED, cases, median, stack
from foolcaffe.study.lab import Lab
from foolcaffe.study.record import POST, Check, Claim
from foolcaffe.study.views import rewritten
from foolcaffe.style import BLUE, GREEN, ORANGE, RED, styled

DECAY = 100.0
SURE = 0.99
CLEAN = 500
"""Validation images for the accuracy."""
ATTACKED = 60
"""Images that are attacked, at most."""
ROUNDS = 3
BACKGROUND = "~background background"


def measured(lab: Lab, number: int) -> dict[str, Any]:
    """Train with the background images of all earlier rounds, measure, and make this round's ones."""
    lab.say(f"background class, round {number}")
    base = lab.root / f"{lab.dataset.name}-background"
    view = base / f"round{number}" if number else lab.view
    seed = lab.scale.seeds[0]
    overrides = Overrides(weight_decay=DECAY, seed=seed, max_iter=lab.scale.iterations)
    model = lab.trained(f"background{number}-seed{seed}", overrides, view=view) if number else lab.decayed(DECAY, seed)
    net = model.classifier()
    known = len(model.synsets()) - (1 if number else 0)  # without the background
    with DatumLMDB(lab.dataset / "train_lmdb") as records:
        training = len(records)
    made = max(12, min(500, training // known))
    with DatumLMDB(view / "train_lmdb") as records:
        old = [r.pixels for r in records if r.label == known][:CLEAN] if number else []
    clean = starts(lab.dataset / "val_lmdb", min(CLEAN, lab.scale.images * 5))
    answers = net.scores(stack([image for image, _ in clean])).argmax(axis=1)
    seen_old = net.scores(np.stack(old).astype(np.float32)).argmax(axis=1) if old else None
    fooled = []
    attacked = cases(lab.dataset, [net], min(lab.scale.images, ATTACKED), seed=CASE_SEED)
    for case in attacked:
        target = case.target if case.target < known else (case.label + 1) % known
        result = METHODS["gradient"](net, case.start, Criterion(target, SURE), seed=CASE_SEED)
        if result.success["image"]:
            fooled.append(result.distances.mean)
    if number < ROUNDS:
        _next(lab, base / f"round{number + 1}", view, net, known, made, number)
    return {
        "round": number,
        "images": number * made,
        "top1": float((answers == [label for _, label in clean]).mean()),
        "lost": float((answers == known).mean()) if number else 0.0,
        "old": None if seen_old is None else float((seen_old == known).mean()),
        "success": len(fooled) / len(attacked),
        "attacked": len(attacked),
        "mean": fooled,
    }


def _next(lab: Lab, folder: Path, view: Path, net: Classifier, known: int, made: int, number: int) -> None:
    """The next round's dataset: this one's, and ``made`` fooling images from training images, mixed in evenly."""
    if folder.exists():
        return
    rng = np.random.default_rng(CASE_SEED + number)
    extra = []
    for image, label in starts(lab.dataset / "train_lmdb", made):
        target = int(rng.choice([c for c in range(known) if c != label]))
        result = METHODS["gradient"](net, image, Criterion(target, SURE), seed=CASE_SEED)
        place = int(rng.integers(10**8))  # records are read in the order of their keys
        extra.append(Record(f"{place:08d}_fooling_{number}", known, result.image.to_bgr().array.astype(np.uint8)))
    with Reader(lab.dataset / "train_lmdb") as records:
        last = int(records.keys[-1][:8]) + 1
    spread = [Record(f"{int(r.key[:8]) * last // 10**8:08d}_{r.key}", r.label, r.pixels) for r in extra]

    def more(records: Iterator[Record]) -> Iterator[Record]:
        return chain(records, spread)

    folder.parent.mkdir(parents=True, exist_ok=True)
    rewritten(folder, view, more, None, BACKGROUND if number == 0 else "")


def claim(rounds: list[dict[str, Any]]) -> Claim:
    """What the post says, beside the first and the last round."""
    first, last = rounds[0], rounds[-1]
    ratio = median(last["mean"]) / median(first["mean"]) if first["mean"] else float("nan")
    return Claim(
        "background",
        POST,
        "a straight-forward attempt to patch this up by introducing a background class and iteratively adding "
        "fooling images as a new "
        "background class during training are not effective in mitigating the problem",
        f"After {last['round']} rounds, {100 * last['old']:.0f} % of the fooling images fed to it are seen as "
        "background, yet "
        f"{100 * last['success']:.0f} % of fresh attacks reach {SURE:.0%} (before: {100 * first['success']:.0f} %), "
        f"with {ratio:.2f} times the change.",
        [
            Check("fooling images fed to it that it sees as background", 100 * last["old"], "≥", 50.0, "%"),
            Check(f"fresh attacks that reach {SURE:.0%}", 100 * last["success"], "≥", 90.0, "%"),
            Check("median change they need, over that before", ratio, "≤", 2.0, "times"),
        ],
    )


def plot(lab: Lab, rounds: list[dict[str, Any]]) -> None:
    """The table and the figure of the rounds."""
    lab.table(
        "background",
        f"A background class fed with fooling images, round after round; fresh attacks are {SURE:.0%} sure",
        [
            "round",
            "background images",
            "clean top-1 (%)",
            "clean images seen as background (%)",
            "old fooling images seen as background (%)",
            "fresh attacks that succeed (%)",
            "their median mean |δ|",
        ],
        [
            [
                r["round"],
                r["images"],
                100 * r["top1"],
                100 * r["lost"],
                None if r["old"] is None else 100 * r["old"],
                100 * r["success"],
                median(r["mean"]),
            ]
            for r in rounds
        ],
    )
    with styled():
        canvas = Figure(figsize=(9.5, 3.8), layout="constrained")
        left, right = canvas.subplots(1, 2)
        x = [r["round"] for r in rounds]
        left.plot(x, [100 * r["success"] for r in rounds], "o-", color=RED, lw=1.4, label="fresh attacks succeed")
        left.plot(
            x[1:], [100 * r["old"] for r in rounds[1:]], "s-", color=GREEN, lw=1.4, label="old ones seen as background"
        )
        left.plot(x, [100 * r["top1"] for r in rounds], "^-", color=BLUE, lw=1.4, label="clean top-1")
        left.set_ylabel("images (%)")
        left.set_ylim(-3, 103)
        left.legend(fontsize=9)
        right.plot(x, [median(r["mean"]) for r in rounds], "o-", color=ORANGE, lw=1.4)
        right.set_ylim(bottom=0)
        right.set_ylabel("median mean |δ| of fresh attacks (grey levels)")
        for axes in (left, right):
            axes.set_xticks(x)
            axes.set_xlabel("round of feeding fooling images")
    lab.figure(
        "background",
        canvas,
        "A background class, round after round",
        "Fresh attacks succeed on "
        + ", ".join(f"{100 * r['success']:.0f} %" for r in rounds)
        + " from round to round; old fooling images are "
        "seen as "
        "background.",
        f"{rounds[0]['attacked']} attacked images a round, {rounds[-1]['images']} background images at the end",
        f"targets {CASE_SEED}, training {lab.scale.seeds[0]}",
    )
