"""Score a trained model on the whole validation LMDB: top-1, top-5, against chance, and what it confuses most."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from caffefiles.datum import DatumLMDB
from foolcaffe import engine
from foolcaffe.classifier import Classifier
from foolcaffe.errors import FoolCaffeError, run_cli
from foolcaffe.initial import initial_share, sentence
from foolcaffe.options import command_line
from foolcaffe.progress import Progress
from foolcaffe.trained import find_trained

BATCH = 250


@dataclass(frozen=True)
class Evaluation:
    """Counts over ``images`` validation images; ``confusions`` is (true id, predicted id) → how often, wrong ones only.

    ``predictions`` counts how often each class is predicted; ``hits`` has for each image, in the
    LMDB's order, "1" if the best class is its label, else "0".
    """

    images: int
    classes: int
    top1: int
    top5: int
    confusions: Counter[tuple[int, int]]
    predictions: Counter[int]
    hits: str


def evaluate(net: Classifier, database: Path, quiet: bool = False) -> Evaluation:
    """Score every record once. A label counts as among the best k if fewer than k other scores reach its own, as
    Caffe's Accuracy layer counts it.

    Raises:
        FoolCaffeError: a record's shape does not fit the net, or its label is not one of the net's classes.
    """
    top1 = top5 = images = 0
    hits = ""
    confusions: Counter[tuple[int, int]] = Counter()
    predictions: Counter[int] = Counter()
    with DatumLMDB(database) as records, Progress(len(records), "images", "evaluate", quiet) as progress:
        every = iter(records)
        while batch := list(islice(every, BATCH)):
            for record in batch:
                if record.pixels.shape != net.shape or not 0 <= record.label < net.classes:
                    raise FoolCaffeError(
                        f"{database}: record {record.key!r} (shape {record.pixels.shape}, label {record.label}) does "
                        f"not fit a net of shape {net.shape} and {net.classes} classes"
                    )
            scores = net.scores(np.stack([r.pixels for r in batch]).astype(np.float32))
            truth = np.array([r.label for r in batch])
            reached = (scores >= scores[np.arange(len(truth)), truth][:, None]).sum(axis=1) - 1  # others only
            top1 += int((reached < 1).sum())
            top5 += int((reached < 5).sum())
            best = scores.argmax(axis=1)
            predictions.update(best.tolist())
            hits += "".join("01"[hit] for hit in (best == truth).tolist())
            confusions.update((int(t), int(b)) for t, b in zip(truth, best) if t != b)
            images += len(batch)
            progress.advance(len(batch))
    return Evaluation(images, net.classes, top1, top5, confusions, predictions, hits)


def main(arguments: list[str]) -> int:
    """Parse, evaluate, print."""
    parser = command_line("foolcaffe.evaluate", __doc__, "model weights mean device json quiet")
    parser.add_argument("--lmdb", type=Path, help="another LMDB than the dataset's val_lmdb")
    options = parser.parse_args(arguments)
    engine.quiet = options.quiet
    model = find_trained(options.model, options.weights, options.mean)
    net = model.classifier(options.gpu)
    result = evaluate(net, options.lmdb or model.dataset / "val_lmdb", options.quiet)
    synsets = model.synsets()
    worst, initial = result.confusions.most_common(10), initial_share(model.folder, net)
    k = min(5, result.classes)
    if options.json:
        print(
            json.dumps(
                {
                    "model": str(model.folder),
                    "images": result.images,
                    "classes": result.classes,
                    "top1": result.top1 / result.images,
                    "top5": result.top5 / result.images,
                    "chance_top1": 1 / result.classes,
                    "chance_top5": k / result.classes,
                    "initial_share": initial,
                    "confusions": [
                        {"true": synsets[t].name, "predicted": synsets[p].name, "count": n} for (t, p), n in worst
                    ],
                },
                indent=2,
                ensure_ascii=False,
            )
        )
        return 0
    print(f"{model.folder}: {result.images} validation images, {result.classes} classes")
    for name, count, chance in (("top-1", result.top1, 1), ("top-5", result.top5, k)):
        share = count / result.images
        error = (share * (1 - share) / result.images) ** 0.5
        print(
            f"  {name}  {100 * share:5.2f} % ± {100 * error:.2f}   chance {100 * chance / result.classes:.2f} %, "
            f"{share * result.classes / chance:.1f} times that"
        )
    if initial is not None:
        print(f"  {sentence(initial)}")
    print("  most confused:")
    for (t, p), count in worst:
        print(f"    {count:5d} ×  {synsets[t].name} taken for {synsets[p].name}")
    favourite, often = result.predictions.most_common(1)[0]
    print(f"  predicted most: {synsets[favourite].name}, {100 * often / result.images:.1f} % of all images")
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.evaluate")
