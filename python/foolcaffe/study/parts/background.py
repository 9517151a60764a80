"""A background class that is fed with fooling images round after round, and attacked anew; 32 × 32 pixels.

Each round adds fooling images of the net before to a class of their own, and trains a new net on all of them: the
post's linear net, and a ConvNet. The claim is about nets that have learnt the class, so a net that has not decides
nothing.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from caffefiles.datum import DatumLMDB, Record
from caffefiles.lmdb_reader import LmdbReader
from foolcaffe.attacks.base import Floats
from foolcaffe.attacks.pgd import pgd
from foolcaffe.classifier import Classifier
from foolcaffe.difficulty import spread_images
from foolcaffe.evaluate import evaluate
from foolcaffe.render import Overrides
from foolcaffe.study.common import CASE_SEED, scaled, stack
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.record import POST, Check, Claim, number
from foolcaffe.study.views import rewritten, sized
from foolcaffe.style import BLUE, GREEN, GREY, ORANGE, RED, styled
from foolcaffe.trained import TrainedModel

SIDE = 32
"""A ConvNet trains four times as fast as on 64 × 64 pixels."""
ROUNDS = 3
SHARE, MOST = 0.125, 2000
"""What a round adds: this part of the number of training images, of no more than so many different ones; they are
repeated, for a class that one in thirty images belongs to is not learnt in few epochs."""
ATTACKED = 100
"""Validation images that are attacked in each round, at most."""
FED = ((8.0, 16.0, 32.0), 10)
MEASURED = ((2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 16.0, 23.0, 32.0, 45.0, 64.0), 20)
"""L∞ radii in grey levels, tried one after the other, and gradient steps in each: for images that are fed or shown to
the next net, and to measure what a fresh attack needs."""
AS_MANY, AS_FAR = 0.9, 2.0
"""The class is no mitigation if fresh attacks succeed so often, of before, and need no more than so many times the
change."""
LEARNT, UNSEEN = 80.0, 50.0
"""A class is learnt if so many per cent of the images fed to it are seen as it, and of others made on the same net."""
KINDS = ("linear", "ConvNet")
QUOTE = (
    "a straight-forward attempt to patch this up by introducing a background class and iteratively adding fooling "
    "images as a new background class during training are not effective in mitigating the problem"
)
FIRST = "_0"
"""How the key of a fooling image ends; its copies' keys end in other numbers."""
SHARES = {
    "fed ones seen as background (%)": "fed",
    "unseen ones, made on the net before, seen as background (%)": "unseen",
    "unseen ones that still fool (%)": "still",
    "clean top-1 (%)": "top1",
    "clean images seen as background (%)": "lost",
    "fresh attacks that succeed (%)": "success",
}
"""Columns of the table, and the keys of a round's shares in them."""
Targets = npt.NDArray[np.int64]


def run(lab: Lab) -> list[Claim]:
    """Feed, train, attack, judge."""
    for old in set(lab.root.glob(f"{lab.dataset.name}-background-*")) - {_fed(lab)}:
        shutil.rmtree(old)
    found = {kind: [lab.step(f"{kind}{n}", _measure, kind, n) for n in range(ROUNDS + 1)] for kind in KINDS}
    _plot(lab, found)
    lab.table(
        "background",
        "A background class, round after round; a fooling image is taken for a class chosen at random",
        [
            {
                "net": kind,
                "round": r["round"],
                "background images": r["images"],
                **{column: None if r[key] is None else 100 * r[key] for column, key in SHARES.items()},
                "median mean |δ| they need (grey levels)": r["change"],
            }
            for kind, rounds in found.items()
            for r in rounds
        ],
    )
    return [claim(found)]


def _model(lab: Bench, kind: str, number: int) -> TrainedModel:
    seed = lab.scale.seeds[0]
    view = _view(lab, kind, number)
    if kind == "linear":
        return lab.trained(f"side{SIDE}-seed{seed}", scaled(SIDE, seed, lab.scale.iterations), view=view, side=SIDE)
    overrides = Overrides(seed=seed, max_iter=3 * lab.scale.sweep_iterations)
    return lab.trained(f"convnet-seed{seed}", overrides, model="convnet64", view=view, side=SIDE)


def _view(lab: Bench, kind: str, number: int) -> Path:
    if number == 0:
        return sized(lab.root / f"{lab.dataset.name}-{SIDE}px", lab.dataset, SIDE)
    return _fed(lab) / f"{kind}{number}"


def _fed(lab: Bench) -> Path:
    """Return the folder of the fed datasets; those of other inputs are not used."""
    return lab.root / f"{lab.dataset.name}-background-{lab.key_of(_measure)[:12]}"


def _measure(lab: Bench, kind: str, number: int) -> dict[str, Any]:
    """Train with the background images of all rounds before, measure, and make the next round's ones."""
    lab.say(f"{kind}, round {number}")
    plain, view = _view(lab, kind, 0), _view(lab, kind, number)
    net = _model(lab, kind, number).classifier()
    known = net.classes - (1 if number else 0)  # without the background
    scored = evaluate(net, plain / "val_lmdb", quiet=True)
    chosen = spread_images(plain / "val_lmdb", min(ATTACKED, lab.scale.images))
    images, labels = stack([image for image, _ in chosen]), np.array([label for _, label in chosen])
    targets = draw(labels, known, CASE_SEED)
    fresh, fooled = fooling(net, images, targets, MEASURED)
    out: dict[str, Any] = {
        "round": number,
        "images": 0,
        "fed": None,
        "unseen": None,
        "still": None,
        "top1": scored.top1 / scored.images,
        "lost": scored.predictions[known] / scored.images if number else 0.0,
        "success": float(fooled.mean()),
        "attacked": len(images),
        "change": float(np.median(np.where(fooled, np.abs(fresh - images).mean(axis=(1, 2, 3)), np.inf))),
    }
    if number:
        with DatumLMDB(view / "train_lmdb") as records:
            fed = [r.pixels for r in records if r.label == known and r.key.endswith(FIRST)]
        before = _model(lab, kind, number - 1).classifier()
        shown, good = fooling(before, images, targets, FED)
        seen = net.scores(shown[good]).argmax(axis=1)
        out["images"] = len(fed)
        out["fed"] = float((net.scores(np.stack(fed).astype(np.float32)).argmax(axis=1) == known).mean())
        out["unseen"] = float((seen == known).mean())
        out["still"] = float((seen == targets[good]).mean())
    if number < ROUNDS:
        _feed(lab, _view(lab, kind, number + 1), view, net, known, number)
    return out


def draw(labels: Targets, known: int, seed: int) -> Targets:
    """For each label a random other class of 0..known − 1."""
    return np.asarray((labels + np.random.default_rng(seed).integers(1, known, len(labels))) % known)


def fooling(
    net: Classifier, images: Floats, targets: Targets, effort: tuple[Sequence[float], int]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Fooling images for a batch, each within the first L∞ radius that suffices.

    Args:
        net: what is fooled.
        images: N × 3 × height × width, BGR, whole grey levels.
        targets: a class for each.
        effort: L∞ radii, ascending, in grey levels; and gradient steps in each.

    Returns:
        the images in whole grey levels; which of them the net takes for their target.
    """
    out, done = images.copy(), np.zeros(len(images), bool)
    radii, steps = effort
    for eps in radii:
        left = np.flatnonzero(~done)
        if not len(left):
            break
        out[left] = pgd(net, images[left], targets[left], eps, "linf", steps)
        done[left] = net.scores(out[left]).argmax(axis=1) == targets[left]
    return out, done


def _feed(lab: Bench, folder: Path, view: Path, net: Classifier, known: int, number: int) -> None:
    """The next round's dataset: this one's, and fooling images of training images, mixed in evenly."""
    if folder.exists():
        return
    clean = _view(lab, "", 0) / "train_lmdb"
    reader = LmdbReader(clean)
    share, last = int(SHARE * reader.count), int(reader.at(reader.count - 1)[0][:8]) + 1
    count = min(MOST, share)
    chosen = spread_images(clean, count * ROUNDS)[number::ROUNDS]  # other images in each round
    images, labels = stack([image for image, _ in chosen]), np.array([label for _, label in chosen])
    made, good = fooling(net, images, draw(labels, known, CASE_SEED + number + 1), FED)
    fed = made[good].astype(np.uint8)
    rng = np.random.default_rng(CASE_SEED + number)
    copies = -(-share // max(1, len(fed)))
    places = np.sort(rng.integers(last, size=(copies, len(fed))))  # records are read in the order of their keys
    extra = [
        Record(f"{places[copy, i]:08d}_fooling_{number}_{i:06d}_{copy}", known, pixels)
        for copy in range(copies)
        for i, pixels in enumerate(fed)
    ]
    lab.say(f"{len(fed)} of {count} training images fool round {number}; each is fed {copies} times")

    def more(records: Iterator[Record]) -> Iterator[Record]:
        return chain(records, sorted(extra, key=lambda r: r.key))

    folder.parent.mkdir(parents=True, exist_ok=True)
    rewritten(folder, view, more, None, "~background background" if number == 0 else "")


def claim(found: dict[str, list[dict[str, Any]]]) -> Claim:
    """What the post says, beside the nets whose last round has learnt its background class.

    Args:
        found: net → rounds, as they are measured.
    """
    sentences, checks, missed = [], [], []
    for kind, rounds in found.items():
        first, last = rounds[0], rounds[-1]
        name = f"the {kind} net" if kind == "linear" else f"the {kind}"
        fed, unseen = 100 * last["fed"], 100 * last["unseen"]
        # more than half of the attacks failed: there is no median
        before, after = (r["change"] or math.inf for r in (first, last))
        sentences.append(
            f"After {last['round']} rounds {name} sees {fed:.0f} % of the {last['images']} fooling images fed to it as "
            f"background, {unseen:.0f} % of unseen ones made on the net before, and {100 * last['lost']:.1f} % of "
            f"clean images. Fresh attacks turn {100 * last['success']:.0f} % of images into a class chosen at random "
            f"(before: {100 * first['success']:.0f} %), with a median mean |δ| of {number(after)} grey levels "
            f"(before: {number(before)})."
        )
        if fed < LEARNT or unseen < UNSEEN:
            missed.append(name)
            continue
        checks += [
            Check(f"{kind}: fed fooling images seen as background", fed, "≥", LEARNT, "%"),
            Check(f"{kind}: unseen ones seen as background", unseen, "≥", UNSEEN, "%"),
            Check(f"{kind}: fresh attacks that succeed, over before", last["success"] / first["success"], "≥", AS_MANY),
            Check(f"{kind}: median change they need, over before", after / before, "≤", AS_FAR),
        ]
    if not checks:
        why = f"no net sees {LEARNT:g} % of what it was fed, and {UNSEEN:g} % of what is like it, as background."
        return Claim("background", POST, QUOTE, " ".join(sentences), untestable=why)
    if missed:
        sentences.append(f"By the rule {' and '.join(missed)} has not learnt the class, and does not count.")
    return Claim("background", POST, QUOTE, " ".join(sentences), checks)


def _plot(lab: Lab, found: dict[str, list[dict[str, Any]]]) -> None:
    with styled():
        canvas = Figure(figsize=(11, 4.2), layout="constrained")
        panels = canvas.subplots(1, len(found) + 1)
        for axes, (kind, rounds) in zip(panels, found.items()):
            x = [r["round"] for r in rounds]
            for key, name, colour, mark in (
                ("success", "fresh attacks succeed", RED, "o-"),
                ("fed", "fed ones seen as background", GREEN, "s-"),
                ("unseen", "unseen ones seen as background", BLUE, "D--"),
                ("top1", "clean top-1", GREY, "^-"),
            ):
                shown = [(n, 100 * r[key]) for n, r in zip(x, rounds) if r[key] is not None]
                axes.plot(*zip(*shown), mark, color=colour, lw=1.4, ms=5, label=name)
            axes.set(ylim=(-3, 106), title=f"{kind} net" if kind == "linear" else kind, ylabel="images (%)")
        for (kind, rounds), colour in zip(found.items(), (BLUE, ORANGE)):
            panels[-1].plot(
                [r["round"] for r in rounds],
                [math.nan if r["change"] is None else r["change"] for r in rounds],
                "o-",
                color=colour,
                lw=1.4,
                label=kind,
            )
        panels[-1].set_ylim(bottom=0)
        panels[-1].set(title="change that fresh attacks need", ylabel="median mean |δ| (grey levels)")
        panels[-1].legend(fontsize=9)
        for axes in panels:
            axes.set_xticks(range(ROUNDS + 1))
            axes.set_xlabel("rounds of feeding fooling images")
        canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=4, fontsize=9)
    lab.figure(
        "background",
        canvas,
        "A background class, round after round: a linear net, a ConvNet, and the change that fresh attacks need",
        " ".join(
            f"{kind}: fed fooling images seen as background "
            + ", ".join(f"{100 * r['fed']:.0f} %" for r in rounds[1:])
            + "; fresh attacks that succeed "
            + ", ".join(f"{100 * r['success']:.0f} %" for r in rounds)
            + "."
            for kind, rounds in found.items()
        ),
        f"{found[KINDS[0]][0]['attacked']} attacked images a round; fed at the end: "
        + ", ".join(f"{kind} {rounds[-1]['images']}" for kind, rounds in found.items()),
        f"targets {CASE_SEED}, training {lab.scale.seeds[0]}",
    )
