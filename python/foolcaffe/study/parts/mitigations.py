"""Each defence with its clean accuracy, the same attack, and an attack that knows it; and the background class."""

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
from foolcaffe.study import digits
from foolcaffe.study.common import CASE_SEED, Case, cases, decay_name, median, stack
from foolcaffe.study.defences import Defended, blurred, cropped, noised
from foolcaffe.study.lab import Lab
from foolcaffe.study.record import NOTE, POST, Check, Claim
from foolcaffe.study.views import rewritten
from foolcaffe.style import BLUE, GREEN, ORANGE, RED, styled

DECAY = 100.0
SURE = 0.99
CLEAN = 500
"""Validation images for the accuracy."""
ATTACKED = 60
"""Images that are attacked, at most."""
STEPS = 30
NOISE_SIGMA, NOISE_DRAWS, BLUR_SIGMA, CROP = 32.0, 8, 2.0, 0.75
LEVELS = (4.0, 8.0, 16.0, 32.0, 64.0)
EPS = 32.0
"""That the claims on digits are about: an eighth of the range, well short of the threshold of half."""
ROUNDS = 3
BACKGROUND = "~background background"
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
    robust = {seed: lab.step(f"digits{seed}", lambda s=seed: _digits(lab, s)) for seed in lab.scale.seeds}  # type: ignore[misc]
    _plot_digits(lab, robust)
    rounds = [lab.step(f"round{r}", lambda r=r: _round(lab, r)) for r in range(ROUNDS + 1)]  # type: ignore[misc]
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
    _plot_rounds(lab, rounds)
    return [*_claims(table), *_digit_claims(robust), _background_claim(rounds)]


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


# Digits: binarization and RBF


def _digits(lab: Lab, seed: int) -> dict[str, Any]:
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


def _digit_means(robust: dict[int, dict[str, Any]], kind: str, name: str) -> list[float]:
    return [float(v) for v in np.mean([r[kind][name] for r in robust.values()], axis=0)]


def _digit_claims(robust: dict[int, dict[str, Any]]) -> list[Claim]:
    at = LEVELS.index(EPS)
    clean = {
        name: float(np.mean([r["clean"][name] for r in robust.values()])) for name in ("linear", "binarized", "RBF")
    }
    same = {name: _digit_means(robust, "same", name)[at] for name in clean}
    knowing = {name: _digit_means(robust, "knowing", name)[at] for name in clean}

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


def _plot_digits(lab: Lab, robust: dict[int, dict[str, Any]]) -> None:
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
                means = [float(np.mean([r["clean"][name] for r in robust.values()])), *_digit_means(robust, kind, name)]
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
                *(100 * v for v in _digit_means(robust, kind, name)),
            ]
            for name in ("linear", "binarized", "RBF")
            for kind in ("same", "knowing")
        ],
    )
    knowing = {
        name: 100 * _digit_means(robust, "knowing", name)[LEVELS.index(EPS)] for name in ("linear", "binarized", "RBF")
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


# The background class


def _round(lab: Lab, number: int) -> dict[str, Any]:
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


def _background_claim(rounds: list[dict[str, Any]]) -> Claim:
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


def _plot_rounds(lab: Lab, rounds: list[dict[str, Any]]) -> None:
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
