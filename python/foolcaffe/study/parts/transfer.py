"""Fooling images made on one classifier, shown to others: other decays, seeds, halves of the data, and other kinds."""

from __future__ import annotations

from typing import Any, Union

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.ensemble import RandomForestClassifier

from caffefiles.datum import DatumLMDB
from foolcaffe.attacks.base import Criterion, Floats
from foolcaffe.attacks.blackbox import SklearnScores
from foolcaffe.attacks.square import square
from foolcaffe.classes import read_synsets
from foolcaffe.classifier import Classifier
from foolcaffe.difficulty import spread_images
from foolcaffe.images import BgrPixels, Rgb8
from foolcaffe.render import Overrides
from foolcaffe.study.common import CASE_SEED, decay_name, stack
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.record import NOTE, POST, Check, Claim
from foolcaffe.study.views import half
from foolcaffe.style import styled

EPS = 8.0
"""Largest change of a pixel, in grey levels: every pixel moves by so much."""
TREES, GROWN_ON = 100, 5000
"""Of the forests: trees, and training images at most."""
FOREST_STEPS, FOREST_IMAGES = 300, 20
"""Of the black-box attack on the forest of all classes: one that votes is slow to ask."""
FEW, FEW_EPS, FEW_STEPS, FEW_IMAGES = 10, 16.0, 500, 30
"""Of the forest that the claim is about: classes (of many it knows nothing), and the targeted attack on it."""
BY_CHANCE = 10.0
"""Points above noise that count as a transfer."""
UNSTEADY = 50.0
"""A classifier whose answer noise alone changes on more of the images tells nothing of transfer."""
EVERY = slice(None)
Labels = npt.NDArray[np.int64]
Scored = Union[Classifier, SklearnScores]


def run(lab: Lab) -> list[Claim]:
    """Train, attack each, show to all, judge."""
    found, forest = lab.step("matrix", _measure), lab.step("forest", _few_classes)
    _plot(lab, found)
    names = found["names"]
    lab.table(
        "transfer",
        f"Images (%) whose class changes for the column; made on the row, ±{EPS:g} grey levels",
        [
            {"made on": made_on, **{name: 100 * share for name, share in zip(names, row)}}
            for made_on, row in zip([*names, "noise of that size"], found["changed"])
        ],
    )
    lab.table(
        "classifiers",
        "The classifiers",
        [{"classifier": n, "top-1 (%)": 100 * t} for n, t in zip(names, found["top1"])],
    )
    return _claims(found, forest)


def _linear(lab: Bench) -> dict[str, Classifier]:
    first, second = lab.scale.seeds[:2]
    strong = lab.scale.decays[-1]
    out = {
        f"softmax, decay {decay_name(lab.scale.decays[0])}": lab.decayed(lab.scale.decays[0], first),
        "softmax, decay 100": lab.decayed(100.0, first),
        "softmax, other seed": lab.decayed(100.0, second),
        f"softmax, decay {decay_name(strong)}": lab.decayed(strong, first),
    }
    for which, name in enumerate("AB"):
        view = half(lab.root / f"{lab.dataset.name}-half{name}", lab.dataset, which)
        overrides = Overrides(weight_decay=100.0, seed=first, max_iter=lab.scale.iterations)
        out[f"softmax, half {name}"] = lab.trained(f"half{name}-seed{first}", overrides, view=view)
    out["SVM"] = lab.trained("svm", Overrides(seed=first, max_iter=lab.scale.iterations), model="linear_svm")
    for name, seed in (("ConvNet", first), ("ConvNet, other seed", second)):
        iterations = 3 * lab.scale.sweep_iterations
        out[name] = lab.trained(f"convnet-seed{seed}", Overrides(seed=seed, max_iter=iterations), model="convnet64")
    return {name: model.classifier() for name, model in out.items()}


def _forest(lab: Bench, images: Floats, labels: Labels) -> SklearnScores:
    lab.say(f"growing a forest on {len(images)} images")
    forest = RandomForestClassifier(TREES, random_state=lab.scale.seeds[0], n_jobs=1)
    return SklearnScores(forest.fit(SklearnScores.rows(images), labels), images.shape[1:])


def _few_classes(lab: Bench) -> dict[str, Any]:
    """A forest of ten classes, turned into chosen ones by scores alone; and noise of the same size."""
    kept: dict[str, tuple[Floats, Labels]] = {}
    classes = len(read_synsets(lab.dataset / "synset_words.txt"))
    chosen = list(range(0, classes, max(1, classes // FEW)))[:FEW]
    for part in ("train", "val"):
        with DatumLMDB(lab.dataset / f"{part}_lmdb") as records:
            mine = [(r.pixels, chosen.index(r.label)) for r in records if r.label in chosen][:GROWN_ON]
        kept[part] = np.stack([p for p, _ in mine]).astype(np.float32), np.array([label for _, label in mine])
    forest = _forest(lab, *kept["train"])
    images, labels = kept["val"]
    right = np.flatnonzero(forest.probabilities(images).argmax(axis=1) == labels)
    rng = np.random.default_rng(CASE_SEED)
    fooled, noisy, queries = [], [], []
    for i in right[:: max(1, len(right) // FEW_IMAGES)][:FEW_IMAGES]:
        criterion = Criterion(int((labels[i] + rng.integers(1, forest.classes)) % forest.classes))
        start = BgrPixels(images[i]).to_rgb8()
        result = square(forest, start, criterion, eps=FEW_EPS, steps=FEW_STEPS, seed=CASE_SEED)
        fooled.append(result.success["image"])
        queries += [result.first] if result.first else []
        draws = images[i] + rng.choice([-FEW_EPS, FEW_EPS], (8, *images[i].shape))
        noisy += criterion.met(forest.probabilities(np.clip(draws, 0, 255).astype(np.float32))).tolist()
    return {
        "classes": forest.classes,
        "top1": len(right) / len(labels),
        "images": len(fooled),
        "fooled": float(np.mean(fooled)),
        "noise": float(np.mean(noisy)),
        "queries": float(np.median(queries)) if queries else None,
    }


def _measure(lab: Bench) -> dict[str, Any]:
    nets = _linear(lab)
    with DatumLMDB(lab.dataset / "train_lmdb") as records:
        grown_on = min(GROWN_ON, len(records))
    training = spread_images(lab.dataset / "train_lmdb", grown_on)
    forest = _forest(lab, stack([image for image, _ in training]), np.array([label for _, label in training]))
    every: dict[str, Scored] = {**nets, "Random Forest": forest}
    images = spread_images(lab.dataset / "val_lmdb", lab.scale.images)
    clean, labels = stack([image for image, _ in images]), np.array([label for _, label in images])
    seen = {name: net.probabilities(clean).argmax(axis=1) for name, net in every.items()}
    rng = np.random.default_rng(CASE_SEED)

    def changed(shown: Floats, which: slice = EVERY) -> list[float]:
        return [
            float((net.probabilities(shown).argmax(axis=1) != seen[name][which]).mean()) for name, net in every.items()
        ]

    rows = []
    for name, net in nets.items():
        lab.say(f"made on: {name}")
        rows.append(changed(_signed(net, clean)))
    lab.say("made on: Random Forest")
    few = slice(0, min(FOREST_IMAGES, len(images)))
    rows.append(changed(_black_box(forest, [image for image, _ in images[few]], seen["Random Forest"]), few))
    noise = np.clip(clean + rng.choice([-EPS, EPS], clean.shape), 0, 255).astype(np.float32)
    rows.append(changed(noise))
    return {
        "names": list(every),
        "top1": [float((seen[name] == labels).mean()) for name in every],
        "changed": rows,
        "images": len(images),
        "forest_images": few.stop,
    }


def _signed(net: Classifier, clean: Floats) -> Floats:
    """One step of the gradient's sign away from what the net sees (Goodfellow et al. 2015, section 4)."""
    out = []
    for image, p in zip(clean, net.probabilities(clean)):
        diffs = Criterion(label=int(p.argmax())).score_diffs(p[None])
        gradient = net.data_gradients(image[None], diffs)[0]
        out.append(np.clip(image + EPS * np.sign(gradient), 0, 255))
    return np.asarray(np.stack(out), np.float32)


def _black_box(forest: SklearnScores, images: list[Rgb8], seen: Any) -> Floats:
    """What the square attack finds by scores alone."""
    found = [
        square(forest, image, Criterion(label=int(label)), eps=EPS, steps=FOREST_STEPS, seed=CASE_SEED)
        for image, label in zip(images, seen)
    ]
    return stack([r.image for r in found])


def _claims(found: dict[str, Any], forest: dict[str, Any]) -> list[Claim]:
    names, rows = found["names"], found["changed"]
    noise = {name: 100 * share for name, share in zip(names, rows[-1])}
    gain = {(a, b): 100 * rows[i][j] - noise[b] for i, a in enumerate(names) for j, b in enumerate(names)}
    halves = min(gain["softmax, half A", "softmax, half B"], gain["softmax, half B", "softmax, half A"])
    kinds = [k for k in ("softmax, decay 100", "SVM", "ConvNet", "Random Forest") if noise[k] <= UNSTEADY]
    pairs = {(a, b): gain[a, b] for a in kinds for b in kinds if a != b}
    between = min(gain["ConvNet", "ConvNet, other seed"], gain["ConvNet, other seed", "ConvNet"])
    differences = ", ".join(f"{a} to {b} {value:+.0f}" for (a, b), value in pairs.items()).replace("-", "−")
    left_out = [k for k, share in noise.items() if share > UNSTEADY]
    return [
        Claim(
            "subsets",
            NOTE,
            "The same adversarial example can be misclassified by many classifiers, trained on different subsets of "
            "the dataset and with different architectures.",
            f"Made on one half of the training data, changes of ±{EPS:g} levels alter the class for the net of the "
            f"other half at least {halves:.0f} points more often than noise does. From kind to kind, points above "
            f"noise: {differences}."
            + "".join(f" {k} does not count: noise alone changes {noise[k]:.0f} % of its answers." for k in left_out),
            [
                Check("disjoint halves, worse direction: above noise", halves, "≥", BY_CHANCE, "points"),
                Check(
                    f"pairs of different kinds with at least {BY_CHANCE:g} points above noise",
                    100 * float(np.mean([value >= BY_CHANCE for value in pairs.values()])),
                    "≥",
                    50.0,
                    "%",
                ),
            ],
        ),
        Claim(
            "convnets",
            POST,
            "a reasonable fraction of fooling images generalize across different Convolutional Networks",
            f"Between two ConvNets of different seeds, changes of ±{EPS:g} levels alter the class at least "
            f"{between:.0f} points more often than noise does.",
            [Check("between two ConvNets, worse direction: above noise", between, "≥", BY_CHANCE, "points")],
        ),
        Claim(
            "forest",
            POST,
            "even non-differentiable classifiers (e.g. Random Forests) are not safe (but I haven’t seen anyone "
            "empirically confirm this yet)",
            f"A forest of {TREES} trees on {forest['classes']} classes gets {100 * forest['top1']:.0f} % right. The "
            f"square attack, which sees scores only, turns {100 * forest['fooled']:.0f} % of {forest['images']} of "
            f"those images into a random class within ±{FEW_EPS:g} levels"
            + (f", after {forest['queries']:.0f} queries (median)" if forest["queries"] else "")
            + f"; noise of that size turns {100 * forest['noise']:.0f} %.",
            [
                Check("right, over chance", forest["top1"] * forest["classes"], "≥", 2.0, "times"),
                Check("images turned into the chosen class", 100 * forest["fooled"], "≥", 50.0, "%"),
                Check("the same by noise of that size", 100 * forest["noise"], "≤", BY_CHANCE, "%"),
            ],
        ),
    ]


def _plot(lab: Lab, found: dict[str, Any]) -> None:
    names = found["names"]
    grid = 100 * np.array(found["changed"])
    with styled():
        canvas = Figure(figsize=(9.5, 6.6), layout="constrained")
        axes = canvas.subplots()
        axes.imshow(grid, cmap="YlOrBr", vmin=0, vmax=100, aspect="auto")
        for (i, j), value in np.ndenumerate(grid):
            axes.text(
                j, i, f"{value:.0f}", ha="center", va="center", fontsize=9, color="white" if value > 60 else "black"
            )
        axes.set_xticks(
            range(len(names)),
            [f"{n}\n({100 * t:.0f} %)" for n, t in zip(names, found["top1"])],
            fontsize=8,
            rotation=40,
            ha="right",
        )
        axes.set_yticks(range(len(names) + 1), [*names, f"noise ±{EPS:g}"], fontsize=9)
        axes.axhline(len(names) - 0.5, color="black", lw=1.5)
        axes.set(xlabel="shown to (its top-1 on these images)", ylabel="made on")
        axes.grid(visible=False)
    lab.figure(
        "transfer",
        canvas,
        f"Images (%) whose class changes; changes of ±{EPS:g} grey levels, made on the row, shown to the column",
        "A matrix of percentages, with noise of the same size in the last row. From the linear softmax of decay 100: "
        + ", ".join(f"{n} {v:.0f} %" for n, v in zip(names, grid[1]))
        + ".",
        f"{found['images']} validation images ({found['forest_images']} made on the forest)",
        f"noise and square attack {CASE_SEED}, trainings {lab.scale.seeds[0]} and {lab.scale.seeds[1]}",
    )
