"""Make a fooling image: change a picture as little as possible until the net sees the class that you want.

The net is fooled only when the PNG, read back from disk, fools it; every number printed is measured on that PNG.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from foolcaffe import engine
from foolcaffe.attacks import METHODS, Criterion, Result, method
from foolcaffe.classes import Synset, Synsets
from foolcaffe.datums import DatumLMDB, Record
from foolcaffe.errors import EXIT_FAILED, FoolCaffeError, run_cli
from foolcaffe.figures import FoolingRow, fooling_figure, percent, template_image, top
from foolcaffe.files import sha256, write_json
from foolcaffe.images import BgrPixels, Rgb8, noise, read_image, resize, write_png
from foolcaffe.models import TrainedModel, find_trained
from foolcaffe.net import Classifier
from foolcaffe.verify import Verdict, verify

LOOKED_AT = 500
"""Validation images looked at for a start that the net classifies correctly."""


def choose_start(
    options: argparse.Namespace, model: TrainedModel, net: Classifier, targets: list[int]
) -> tuple[Rgb8, str, str]:
    """The start image, what it is (for people), and a short name (for files).

    Without ``--image`` or ``--start`` it is the first validation image that the net gets right and that is not of the
    wanted class; if it gets none right among the first :data:`LOOKED_AT`, the first of another class.

    Raises:
        FoolCaffeError: no such image, a malformed ``--start``, or no validation LMDB.
    """
    _, height, width = net.shape
    if options.image is not None:
        return resize(read_image(options.image), height, width), options.image.name, options.image.stem
    if options.start == "noise":
        return noise(height, width, options.seed), f"uniform noise, seed {options.seed}", f"noise{options.seed}"
    with DatumLMDB(model.dataset / "val_lmdb") as records:
        if options.start is not None:
            number = re.fullmatch(r"val:(\d+)", options.start)
            if not number:
                raise FoolCaffeError(
                    f"--start {options.start!r} is no start", "expected: noise, or val:N for validation image N"
                )
            index = int(number.group(1))
            record = records.record(index)
        else:
            index, record = _default_start(records, net, targets)
    if record.pixels.shape != net.shape:
        raise FoolCaffeError(f"validation image {index} is {record.pixels.shape}, the net takes {net.shape}")
    image = BgrPixels(record.pixels.astype(np.float32)).to_rgb8()
    return image, f"validation image {index}, a {model.synsets()[record.label]}", f"val{index}"


def _default_start(records: DatumLMDB, net: Classifier, targets: list[int]) -> tuple[int, Record]:
    first: tuple[int, Record] | None = None
    for index, record in enumerate(records):
        if index >= LOOKED_AT and first is not None:
            return first
        if record.label in targets or record.pixels.shape != net.shape:
            continue
        if int(net.scores(BgrPixels(record.pixels.astype(np.float32))).argmax()) == record.label:
            return index, record
        first = first or (index, record)
    if first is None:
        raise FoolCaffeError(
            f"{records.path} has no image of another class than the wanted", "choose a start with --image"
        )
    return first


def fool(
    net: Classifier, start: Rgb8, criterion: Criterion, *, method_name: str, seed: int, png: Path
) -> tuple[Result, Verdict]:
    """Attack, write the PNG, and verify it from disk. A PNG that does not fool is not left behind.

    Raises:
        FoolCaffeError: the start is of the class already, or the criterion cannot be reached within 0..255.
    """
    if bool(criterion.met(net.probabilities(start.to_bgr()))[0]):
        raise FoolCaffeError(
            "the start is what you want already: there is nothing to fool",
            "choose another class, another start, or a higher --confidence",
        )
    result = method(method_name)(net, start, criterion, seed=seed)
    wanted = "best class" if criterion.confidence is None else f"confidence {criterion.confidence:g}"
    if not result.success["image"]:
        raise FoolCaffeError(
            f"not reached within 0..255 by {method_name}: {wanted}; "
            f"the highest confidence in the class was {percent(result.best)}",
            "ask for less (--confidence, --flip), begin with another image, or try another --method: "
            + ", ".join(m for m in METHODS if m != method_name),
        )
    with tempfile.TemporaryDirectory(prefix=".fool.", dir=png.parent) as aside:
        trial = Path(aside) / png.name
        write_png(trial, result.image)
        verdict = verify(net, trial, start, criterion)
        if not verdict.fooled:
            raise FoolCaffeError(
                f"the PNG read back from disk does not fool ({png}): this is a fault of FoolCaffe, please report it"
            )
        trial.replace(png)
    return result, verdict


def _record(
    result: Result,
    verdict: Verdict,
    before: Any,
    criterion: Criterion,
    model: TrainedModel,
    start_name: str,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """The JSON record of one fooling image; norms in grey levels 0..255, measured on the PNG."""
    synsets = model.synsets()

    def best(probabilities: Any) -> list[dict[str, Any]]:
        return [
            {"id": i, "wnid": synsets[i].wnid, "name": name, "confidence": p}
            for i, name, p in top(probabilities, synsets)
        ]

    target = synsets[criterion.target]
    return {
        "target": {"id": target.id, "wnid": target.wnid, "name": target.name},
        "criterion": "flip" if criterion.confidence is None else {"confidence": criterion.confidence},
        "start": start_name,
        "before": best(before),
        "after": best(verdict.probabilities),
        "confidence_before": float(before[target.id]),
        "confidence_after": float(verdict.probabilities[target.id]),
        "l2": verdict.distances.l2,
        "linf": verdict.distances.linf,
        "mean_abs": verdict.distances.mean,
        "method": options.method,
        "factor": result.factor,
        "steps": result.steps,
        "queries": result.queries,
        "seed": options.seed,
        "success": result.success,
        "verified": verdict.fooled,
        "engine": engine.name(),
        "model": str(model.folder),
        "sha256": {
            "start": hashlib.sha256(result.start.array.tobytes()).hexdigest(),
            "weights": sha256(model.weights),
            "deploy": sha256(model.deploy),
            **({"mean": sha256(model.mean)} if model.mean else {}),
        },
        "trajectory": [[f, c] for f, c in result.trajectory],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m foolcaffe.fool",
        description=__doc__,
        epilog="exit code: 0 fooled, 1 not possible, 2 wrong usage",
    )
    parser.add_argument(
        "--class",
        dest="targets",
        action="append",
        required=True,
        metavar="ID|WNID|NAME",
        help="the class the net shall see; given several times, the figure has a row for each",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--image", type=Path, metavar="FILE", help="begin with this picture, whatever its size or kind")
    start.add_argument(
        "--start",
        metavar="noise|val:N",
        help="begin with noise, or with validation image N (default: a validation image that the net gets right)",
    )
    goal = parser.add_mutually_exclusive_group()
    goal.add_argument(
        "--confidence", type=float, default=0.99, metavar="P", help="until the net is this sure (default: %(default)s)"
    )
    goal.add_argument("--flip", action="store_true", help="until the class is the best one, however unsure")
    parser.add_argument(
        "--method", default="gradient", help="one of: " + ", ".join(METHODS) + " (default: %(default)s)"
    )
    parser.add_argument("--model", help="build/<dataset>/<model>, or its name (default: trained last)")
    parser.add_argument("--weights", type=Path, help="another .caffemodel than the finished one")
    parser.add_argument("--mean", type=Path, help="another mean than the dataset's")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: build/<dataset>/fool")
    parser.add_argument("--json", action="store_true", help="print the record instead of a summary")
    parser.add_argument("--seed", type=int, default=1, help="of every random draw (default: %(default)s)")
    parser.add_argument("--gpu", type=int, metavar="ID", help="compute on this GPU (default: the CPU)")
    parser.add_argument("--quiet", action="store_true", help="print nothing but the PNG's path")
    return parser


def main(arguments: list[str]) -> int:
    """Parse, fool, write for each class PNG, perturbation and record, and a figure."""
    options = _parser().parse_args(arguments)
    engine.quiet = options.quiet
    confidence = None if options.flip else options.confidence
    Criterion(0, confidence)  # a bad confidence is said before anything is loaded
    method(options.method)
    model = find_trained(options.model, options.weights, options.mean)
    targets = [model.synsets().find(text) for text in options.targets]
    net = model.classifier(options.gpu)
    start, start_name, short = choose_start(options, model, net, [t.id for t in targets])
    out: Path = options.out or model.dataset / "fool"
    out.mkdir(parents=True, exist_ok=True)
    if not options.quiet:
        print(
            f"model: {model.folder} ({net.classes} classes); start: {start_name}; seed {options.seed}", file=sys.stderr
        )
    rows, records, failed = [], [], 0
    for target in targets:
        stem = _stem(model, short, [target])
        try:
            result, verdict = fool(
                net,
                start,
                Criterion(target.id, confidence),
                method_name=options.method,
                seed=options.seed,
                png=out / f"{stem}.png",
            )
        except FoolCaffeError as error:
            if len(targets) == 1:
                raise
            print(f"foolcaffe.fool: error: {target.name}: {error}", file=sys.stderr)
            failed += 1
            continue
        delta = result.image.to_bgr().array - start.to_bgr().array
        amplified = 127.0 / max(float(np.abs(delta).max()), 1.0)
        write_png(out / f"{stem}-perturbation.png", template_image(delta, 127.5 / amplified))
        before = net.probabilities(start.to_bgr())[0]
        record = _record(result, verdict, before, Criterion(target.id, confidence), model, start_name, options)
        record["perturbation_amplified"] = amplified
        record["sha256"]["png"] = sha256(out / f"{stem}.png")
        write_json(out / f"{stem}.json", record)
        records.append(record)
        rows.append(_row(result, verdict, before, target, model.synsets(), options.method))
        if not options.json:
            print(out / f"{stem}.png" if options.quiet else _summary(record, out / f"{stem}.png"))
    if rows:
        stem = _stem(model, short, targets)
        names = " and ".join(t.name for t in targets)
        fooling_figure(
            out / f"{stem}-figure.png", rows, f"{model.dataset.name}, {model.folder.name}: from {start_name} to {names}"
        )
        if not options.json and not options.quiet:
            print(f"figure  {out / stem}-figure.png")
    if options.json:
        print(json.dumps(records[0] if len(targets) == 1 else records, indent=2, ensure_ascii=False))
    return EXIT_FAILED if failed else 0


def _stem(model: TrainedModel, short: str, targets: list[Synset]) -> str:
    return re.sub(r"[^\w.-]+", "_", f"{model.folder.name}-{short}-to-{'-'.join(t.name for t in targets)}")


def _row(
    result: Result, verdict: Verdict, before: Any, target: Synset, synsets: Synsets, method_name: str
) -> FoolingRow:
    direction = result.direction
    if direction is None:
        direction = result.image.to_bgr().array - result.start.to_bgr().array
    name = {"gradient": f"{target.name} template", "sign": f"sign towards {target.name}"}.get(
        method_name, "perturbation"
    )
    return FoolingRow(
        start=result.start,
        direction=direction,
        direction_name=name,
        factor=result.factor or 1.0,
        image=result.image,
        before=top(before, synsets),
        after=top(verdict.probabilities, synsets),
        target=target.id,
        change=f"mean change {verdict.distances.mean:.2g} of 255",
    )


def _summary(record: dict[str, Any], png: Path) -> str:
    first, target = record["before"][0], record["target"]["name"]
    return (
        f"before  {first['name']} {percent(first['confidence'])}, {target} {percent(record['confidence_before'])}\n"
        f"after   {target} {percent(record['confidence_after'])}, verified on the PNG\n"
        f"change  mean {record['mean_abs']:.2f}, largest {record['linf']:.0f} grey levels of 255, "
        f"L2 {record['l2']:.1f}\n"
        f"written {png}"
    )


if __name__ == "__main__":
    run_cli(main, "foolcaffe.fool")
