"""Are Random Forests safe? Train one on real images, fool it by its scores alone, count queries, draw pictures.

    PYTHONPATH=python .caffe/bin/python examples/random_forest.py --dataset build/tiny-imagenet --out docs/figures

Karpathy 2015: "even non-differentiable classifiers (e.g. Random Forests) are not safe (but I haven't seen anyone
empirically confirm this yet)". Ten classes of 64 x 64 photographs, raw pixels; a linear SVM and nearest neighbours
beside it. Attacked are validation images that the classifier gets right.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from caffefiles.datum import DatumLMDB
from foolcaffe.attacks import Budget, Criterion, run
from foolcaffe.attacks.blackbox import SklearnScores
from foolcaffe.classes import read_synsets
from foolcaffe.figures import percent
from foolcaffe.images import BgrPixels
from foolcaffe.style import GREY, save, styled


def images_of(database: Path, classes: list[int], each: int) -> tuple[np.ndarray, np.ndarray]:
    """The first ``each`` images of each class, and their labels 0..len(classes) − 1."""
    left = dict.fromkeys(classes, each)
    pixels, labels = [], []
    with DatumLMDB(database) as records:
        for record in records:
            if left.get(record.label, 0) > 0:
                left[record.label] -= 1
                pixels.append(record.pixels)
                labels.append(classes.index(record.label))
            if not any(left.values()):
                break
    return np.stack(pixels).astype(np.float32), np.array(labels)


def main() -> None:
    """Train, attack, print a table, draw."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import LinearSVC

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, default=Path("build/tiny-imagenet"))
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--train", type=int, default=200, help="images a class")
    parser.add_argument(
        "--queries",
        type=int,
        default=2000,
        help="budget for one image; after the first success it goes on making the change smaller",
    )
    parser.add_argument("--only", default="", help="classifiers whose name has this in it")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    options = parser.parse_args()
    synsets = read_synsets(options.dataset / "synset_words.txt")
    classes = list(range(0, len(synsets), max(1, len(synsets) // 10)))[:10]
    train, labels = images_of(options.dataset / "train_lmdb", classes, options.train)
    val, truth = images_of(options.dataset / "val_lmdb", classes, 25)
    models = {
        "Random Forest, 100 trees": RandomForestClassifier(100, random_state=1, n_jobs=1),
        "linear SVM": LinearSVC(C=1e-7, max_iter=300, random_state=1),
        "15 nearest neighbours": KNeighborsClassifier(15, weights="distance"),
    }
    print("| classifier | right | attack | goal | fooled | queries to the first success | mean change | L2 |")
    print("|---|---|---|---|---|---|---|---|")
    shown = []
    for name, model in models.items():
        if options.only not in name:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # LinearSVC on its convergence
            model.fit(SklearnScores.rows(train), labels)
        net = SklearnScores(model, train.shape[1:])
        right = np.flatnonzero(net.probabilities(val).argmax(axis=1) == truth)
        accuracy = len(right) / len(val)
        spread = right[np.linspace(0, len(right) - 1, min(options.images, len(right))).astype(int)]  # over all classes
        for method in ("local", "square") if name.startswith("Random") else ("local",):
            for goal in ("any other", "a random target") if name.startswith("Random") else ("any other",):
                rng = np.random.default_rng(0)
                results = []
                for i in spread:
                    label = int(truth[i])
                    target = int(rng.choice(np.setdiff1d(np.arange(len(classes)), [label])))
                    criterion = Criterion(label=label) if goal == "any other" else Criterion(target)
                    start = BgrPixels(val[i]).to_rgb8()
                    result = run(method, net, start, criterion, budget=Budget(queries=options.queries), seed=int(i))
                    results.append(result)
                    if name.startswith("Random") and method == "local" and result.success["image"]:
                        pair = np.stack([start.to_bgr().array, result.image.to_bgr().array])
                        shown.append((goal, label, result, net.probabilities(pair)))
                done = [r for r in results if r.success["image"]]
                queries = np.median([r.first for r in done]) if done else np.nan
                told = f"{100 * accuracy:.0f} % | {method} | {goal} | {len(done)} of {len(results)}"
                print(
                    f"| {name} | {told} | {queries:.0f} | "
                    f"{np.median([r.distances.mean for r in done]) if done else np.nan:.1f} | "
                    f"{np.median([r.distances.l2 for r in done]) if done else np.nan:.0f} |",
                    flush=True,
                )
    draw(options.out / "random-forest.png", shown, [synsets[c].name for c in classes])


def draw(path: Path, shown: list, names: list[str]) -> None:
    """Three images fooled into anything and three into a target: before, change, after."""
    kinds = [s for s in shown if s[0] == "any other"], [s for s in shown if s[0] != "any other"]
    chosen = [
        kind[i] for kind in kinds for i in sorted({*np.linspace(0, len(kind) - 1, 3).astype(int).tolist()}) if kind
    ]
    with styled():
        figure = Figure(figsize=(9.2, 5.2))
        axes = figure.subplots(3, len(chosen), squeeze=False)
        for column, (_, _, result, probabilities) in enumerate(chosen):
            delta = result.image.array.astype(float) - result.start.array
            change = np.clip(127.5 + 127.5 * delta / max(np.abs(delta).max(), 1), 0, 255).astype(np.uint8)
            pictures = [(result.start.array, probabilities[0]), (change, None), (result.image.array, probabilities[1])]
            for row, (picture, p) in enumerate(pictures):
                ax = axes[row][column]
                ax.imshow(picture, interpolation="nearest")
                ax.axis("off")
                said = (
                    f"largest {np.abs(delta).max():.0f} of 255"
                    if p is None
                    else f"{names[int(p.argmax())]} {percent(float(p.max()))}"
                )
                ax.set_title(said, fontsize=8)
        for row, text in enumerate(("image", "change", "fooled")):
            figure.text(0.012, 0.79 - 0.3 * row, text, rotation=90, fontsize=9, color=GREY, va="center")
        figure.suptitle("A Random Forest on raw pixels, fooled by its votes alone", fontsize=11, color=GREY)
        figure.subplots_adjust(left=0.04, right=0.99, top=0.88, bottom=0.01, wspace=0.08, hspace=0.16)
        save(figure, path)


if __name__ == "__main__":
    main()
