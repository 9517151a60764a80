"""The independent verifier: reads the PNG from disk, and scores that.

As a command it judges a PNG that the explorer saved. The file carries its experiment; the model is found under
``build/`` by the SHA-256 of its weights.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from caffefiles.files import sha256
from foolcaffe import engine
from foolcaffe.attacks.base import Criterion, Distances
from foolcaffe.classifier import Classifier
from foolcaffe.errors import EXIT_FAILED, FoolCaffeError, run_cli
from foolcaffe.images import Rgb8, read_image
from foolcaffe.options import command_line
from foolcaffe.trained import TrainedModel, every_trained, find_trained

KEYWORD = "foolcaffe"
"""The PNG's text chunk that holds the experiment as JSON."""


@dataclass(frozen=True)
class Verdict:
    """``fooled`` by the criterion; ``probabilities`` (classes) and ``distances`` from the start, of the PNG on disk."""

    fooled: bool
    probabilities: npt.NDArray[np.float32]
    distances: Distances


def verify(net: Classifier, png: Path, start: Rgb8, criterion: Criterion) -> Verdict:
    """Score a PNG as anybody else would: from its file.

    Raises:
        FoolCaffeError: the file cannot be read, is not a PNG, or is not of the start's size.
    """
    with png.open("rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            raise FoolCaffeError(f"{png} is no PNG")
    image = read_image(png)
    if image.size != start.size:
        raise FoolCaffeError(
            f"{png} is {image.size[0]} × {image.size[1]} pixels, the start {start.size[0]} × {start.size[1]}"
        )
    probabilities = net.probabilities(image.to_bgr())
    return Verdict(bool(criterion.met(probabilities)[0]), probabilities[0], Distances.between(image.array, start.array))


@dataclass(frozen=True)
class Experiment:
    """What a PNG of the explorer carries: the start, the target's wnid, the weights' SHA-256, what the page found."""

    start: Rgb8
    wnid: str
    criterion: Any
    weights: str
    confidence: float


def read_experiment(png: Path) -> Experiment:
    """Read the experiment out of a PNG.

    Raises:
        FoolCaffeError: the file cannot be read, carries no experiment, or carries a damaged one.
    """
    read_image(png)  # says what is wrong with a file that is no image
    with Image.open(png) as image:
        text = getattr(image, "text", {}).get(KEYWORD)
    if text is None:
        raise FoolCaffeError(f"{png} carries no experiment", "expected a PNG that was saved by the explorer's page")
    try:
        record = json.loads(text)
        page = record["explorer"]
        pixels = base64.b64decode(page["pixels"] + "==", altchars=b"-_")
        start = np.frombuffer(pixels, np.uint8).reshape(int(page["height"]), int(page["width"]), 3)
        goal = record["criterion"]
        Criterion(0, None if goal == "flip" else goal["confidence"])
        return Experiment(
            Rgb8(start),
            str(record["target"]["wnid"]),
            goal,
            str(record["sha256"]["weights"]),
            float(record["confidence_after"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FoolCaffeError(f"{png}: its experiment is damaged ({error!r})", "save it again from the page") from None


def find_model(name: str | None, weights: str, png: Path) -> TrainedModel:
    """The model with these weights: the one of that name, or any under ``build/``.

    Raises:
        FoolCaffeError: the named model has other weights, or none has these.
    """
    for model in [find_trained(name)] if name else every_trained():
        if sha256(model.weights) == weights:
            return model
    where = f"the model {name} has" if name else "no trained model under build/ has"
    raise FoolCaffeError(
        f"{where} not the weights that {png} is about (SHA-256 {weights[:16]}…)",
        "give the right one with --model; the record in the PNG names it",
    )


def main(arguments: list[str]) -> int:
    """Parse, read the experiment, score the PNG, print the verdict."""
    parser = command_line(
        "foolcaffe.verify", __doc__, "json quiet", "exit code: 0 every PNG fools, 1 one does not, 2 wrong usage"
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a PNG that the explorer saved")
    parser.add_argument("--model", help="build/<dataset>/<model>, or its name (default: the one with those weights)")
    options = parser.parse_args(arguments)
    engine.quiet = options.quiet
    nets: dict[str, tuple[TrainedModel, Classifier]] = {}
    failed = 0
    for png in options.files:
        experiment = read_experiment(png)
        if experiment.weights not in nets:
            model = find_model(options.model, experiment.weights, png)
            nets[experiment.weights] = model, model.classifier()
        model, net = nets[experiment.weights]
        target = model.synsets().find(experiment.wnid)
        confidence = None if experiment.criterion == "flip" else experiment.criterion["confidence"]
        verdict = verify(net, png, experiment.start, Criterion(target.id, confidence))
        before = net.probabilities(experiment.start.to_bgr())[0]
        fooled = verdict.fooled and int(before.argmax()) != target.id
        failed += not fooled
        measured = float(verdict.probabilities[target.id])
        facts = {
            "file": str(png),
            "verified": fooled,
            "target": target.name,
            "best": model.synsets()[int(verdict.probabilities.argmax())].name,
            "before": model.synsets()[int(before.argmax())].name,
            "confidence": measured,
            "confidence_in_page": experiment.confidence,
            "mean_abs": verdict.distances.mean,
            "linf": verdict.distances.linf,
            "l2": verdict.distances.l2,
            "model": str(model.folder),
            "engine": engine.name(),
        }
        if options.json:
            print(json.dumps(facts, ensure_ascii=False))
        else:
            print(
                f"{png}: {'fools' if fooled else 'does not fool'} {model.folder}: {facts['before']} before, "
                f"{facts['best']} now; {target.name} {100 * measured:.2f} % (the page: "
                f"{100 * experiment.confidence:.2f} %); mean change {verdict.distances.mean:.2f} grey levels"
            )
    return EXIT_FAILED if failed else 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.verify")
