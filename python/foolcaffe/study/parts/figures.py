"""The post's figures: a photograph and noise, each turned into two classes; and the data gradient behind, checked."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from foolcaffe.attacks.base import Criterion
from foolcaffe.attacks.gradient import gradient
from foolcaffe.classes import Synset, Synsets
from foolcaffe.classifier import Classifier
from foolcaffe.figures import FoolingRow, fooling_figure, top
from foolcaffe.images import Rgb8, noise
from foolcaffe.study.common import CASE_SEED, cases, mean, median, percent
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.record import POST, Check, Claim, number

DECAY = 100.0
SURE = 0.99
SMALL = 8.0
"""A small amount, in grey levels of mean |δ|: 3 % of the range."""
PAIRS = (("goldfish", "school bus"), ("rocket", "coffee"))
"""What to turn an image into, where the dataset has both."""
NOISES = 20


def run(lab: Lab) -> list[Claim]:
    """Fool, draw, judge."""
    model = lab.decayed(DECAY, lab.scale.seeds[0])
    net, synsets = model.classifier(), model.synsets()
    targets = _targets(synsets)
    photo, label = _photo(lab, net, targets)
    height, width = net.shape[1:]
    random = noise(height, width, lab.scale.seeds[0])
    names = " and ".join(t.name for t in targets)
    trainer = f"training {lab.scale.seeds[0]}"
    for key, start, description, seed in (
        ("image", photo, f"a validation image of class {synsets[label].name}", trainer),
        ("noise", random, "uniform noise", f"noise {lab.scale.seeds[0]}, {trainer}"),
    ):
        rows, sentences = zip(*(_row(net, start, target, synsets) for target in targets))
        lab.figure(
            key,
            partial(fooling_figure, rows=list(rows), title=f"from {description} to {names}"),
            f"From {description} to {names}, with {percent(SURE)} confidence",
            f"Two rows: start, plus a fraction of a template, is the fooling image. {' '.join(sentences)}",
            "one image" if key == "image" else "one draw",
            seed,
            photos=key == "image",
        )
    image, chance, gradient = (
        lab.step(key, measure) for key, measure in (("image", _image), ("noise", _noise), ("gradient", _gradients))
    )
    lab.table(
        "reached",
        f"Starts that reach {percent(SURE)} confidence in a random class, on PNGs",
        [
            {
                "start": n,
                "tried": f["tried"],
                "reached": len(f["mean"]),
                "median mean |δ| (grey levels)": median(f["mean"]),
                "median largest change (grey levels)": median(f["largest"]),
                "noise of that mean |δ| makes it the best class (%)": 100 * mean(f["noise"]),
            }
            for n, f in (("validation images", image), ("uniform noise", chance))
        ],
    )
    return _claims(image, chance, gradient)


def _targets(synsets: Synsets) -> list[Synset]:
    known = {n.casefold(): s for s in reversed(list(synsets)) for n in reversed(s.names)}
    for pair in PAIRS:
        if all(name in known for name in pair):
            return [known[name] for name in pair]
    return [synsets[1], synsets[len(synsets) - 1]]


def _row(net: Classifier, start: Rgb8, target: Synset, synsets: Synsets) -> tuple[FoolingRow, str]:
    result = gradient(net, start, Criterion(target.id, SURE), seed=CASE_SEED)
    before = net.probabilities(start.to_bgr())[0]
    after = net.probabilities(result.image.to_bgr())[0]
    change = result.distances.mean
    return (
        FoolingRow(result, f"{target.name} template", top(before, synsets), top(after, synsets), target.id),
        f"{target.name} goes from {100 * before[target.id]:.1f} % to {100 * after[target.id]:.1f} % with a mean change "
        f"of {change:.1f}.",
    )


def _photo(lab: Bench, net: Classifier, targets: list[Synset]) -> tuple[Rgb8, int]:
    """The first validation image that is of no target's class, and its class."""
    chosen = cases(lab.dataset, [net], lab.scale.images)
    case = next((c for c in chosen if c.label not in [t.id for t in targets]), chosen[0])
    return case.start, case.label


def _net(lab: Bench) -> Classifier:
    return lab.decayed(DECAY, lab.scale.seeds[0]).classifier()


def _image(lab: Bench) -> dict[str, Any]:
    """How much validation images must change."""
    net = _net(lab)
    return _sizes(net, [(c.start, c.target) for c in cases(lab.dataset, [net], lab.scale.images)])


def _noise(lab: Bench) -> dict[str, Any]:
    """How much uniform noise must change."""
    net = _net(lab)
    targets = np.random.default_rng(CASE_SEED).integers(0, net.classes, NOISES)
    return _sizes(net, [(noise(*net.shape[1:], 100 + i), int(t)) for i, t in enumerate(targets)])


def _sizes(net: Classifier, starts: list[tuple[Rgb8, int]]) -> dict[str, Any]:
    out: dict[str, Any] = {"tried": len(starts), "mean": [], "largest": [], "noise": []}
    rng = np.random.default_rng(CASE_SEED)
    for start, target in starts:
        result = gradient(net, start, Criterion(target, SURE), seed=CASE_SEED)
        if result.success["image"]:
            out["mean"].append(result.distances.mean)
            out["largest"].append(result.distances.linf)
            noise = result.distances.mean * rng.choice([-1.0, 1.0], net.shape)
            noisy = np.rint(np.clip(start.to_bgr().array + noise, 0, 255)).astype(np.float32)
            out["noise"].append(float(net.probabilities(noisy[None])[0].argmax() == target))
    return out


def _gradients(lab: Bench) -> dict[str, float]:
    """Caffe's backward pass against the weight rows, and against differences of scores along random directions."""
    model = lab.decayed(DECAY, lab.scale.seeds[0])
    net = model.classifier()
    pixels = _photo(lab, net, _targets(model.synsets()))[0].to_bgr()
    rng = np.random.default_rng(CASE_SEED)
    rng.integers(0, net.classes, NOISES)  # the draws of _noise come first
    weights = net.score_weights()
    worst = 0.0
    for target in rng.choice(net.classes, min(5, net.classes), replace=False):
        gradient = net.class_gradient(pixels, int(target))
        worst = max(worst, float(np.abs(gradient - weights[target]).max() / np.abs(weights[target]).max()))
    ups = rng.choice([-8.0, 8.0], (32, *net.shape)).astype(np.float32)
    target = int(rng.integers(net.classes))
    gradient = net.class_gradient(pixels, target).astype(np.float64)
    up = net.scores(pixels.array + ups)[:, target].astype(np.float64)
    down = net.scores(pixels.array - ups)[:, target].astype(np.float64)
    expected = (ups.astype(np.float64) * gradient).sum(axis=(1, 2, 3))
    numeric = float(np.linalg.norm((up - down) / 2 - expected) / np.linalg.norm(expected))
    return {"rows": worst, "numeric": numeric}


def _claims(image: dict[str, Any], chance: dict[str, Any], gradient: dict[str, float]) -> list[Claim]:
    def reached(found: dict[str, Any]) -> Check:
        share = 100 * len(found["mean"]) / found["tried"]
        return Check(f"starts whose PNG reaches {percent(SURE)} confidence in a random class", share, "≥", 95.0, "%")

    def sentence(found: dict[str, Any], what: str) -> str:
        return (
            f"{len(found['mean'])} of {found['tried']} {what} reach {percent(SURE)} confidence in a random class, with "
            f"a median mean |δ| of {median(found['mean']):.1f} grey levels."
        )

    return [
        Claim(
            "small",
            POST,
            "if we add a small amount “goldfish” weights to the image (top row, middle), suddenly the classifier is "
            "convinced that it’s looking at one with high confidence",
            sentence(image, "validation images"),
            [
                reached(image),
                Check("median mean |δ|", median(image["mean"]), "≤", SMALL, "grey levels"),
                Check("starts that noise of that size turns into the class", 100 * mean(image["noise"]), "≤", 5.0, "%"),
            ],
        ),
        Claim(
            "noise",
            POST,
            "We can also start from random noise and achieve the same effect",
            sentence(chance, "draws of uniform noise"),
            [
                reached(chance),
                Check(
                    "median mean |δ|, over that from images", median(chance["mean"]) / median(image["mean"]), "≤", 2.0
                ),
            ],
        ),
        Claim(
            "gradient",
            POST,
            "when your score function is a dot product s=wTx, then the gradient on the image x is simply w",
            f"Caffe’s backward pass and the weight rows differ by {number(gradient['rows'])} of the largest weight at "
            "most.",
            [Check("largest difference over the largest weight", gradient["rows"], "≤", 1e-6)],
        ),
        Claim(
            "numeric",
            POST,
            "it is possible to compute the data gradient numerically",
            "Differences of scores along 32 random directions of ±8 grey levels agree with it to "
            f"{number(gradient['numeric'])}, relative.",
            [Check("relative L2 difference of the directional derivatives", gradient["numeric"], "≤", 1e-3)],
        ),
    ]
