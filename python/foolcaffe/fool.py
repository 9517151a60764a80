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
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from foolcaffe import engine
from foolcaffe.attacks import METHODS, Budget, Criterion, Result, method
from foolcaffe.attacks import run as attack
from foolcaffe.classes import Synset, Synsets
from foolcaffe.datums import DatumLMDB, Record
from foolcaffe.errors import EXIT_FAILED, FoolCaffeError, run_cli
from foolcaffe.figures import FoolingRow, fooling_figure, percent, target_sheet, template_image, top
from foolcaffe.files import sha256, write_json
from foolcaffe.images import BgrPixels, Rgb8, noise, read_image, resize, write_png
from foolcaffe.models import TrainedModel, find_trained
from foolcaffe.net import Classifier
from foolcaffe.progress import Progress
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
    if options.start == "grey":
        return Rgb8(np.full((height, width, 3), 128, np.uint8)), "flat grey", "grey"
    with DatumLMDB(model.dataset / "val_lmdb") as records:
        if options.start is not None:
            number = re.fullmatch(r"val:(\d+)", options.start)
            if not number:
                raise FoolCaffeError(
                    f"--start {options.start!r} is no start", "expected: noise, grey, or val:N for validation image N"
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
    net: Classifier, start: Rgb8, criterion: Criterion, *, method_name: str, seed: int, png: Path, **options: Any
) -> tuple[Result, Verdict]:
    """Attack, write the PNG, and verify it from disk. A PNG that does not fool is not left behind.

    Raises:
        FoolCaffeError: the start is of the class already, the criterion was not reached, or the method refuses.
    """
    criterion.check(net.classes)
    if bool(criterion.met(net.probabilities(start.to_bgr()))[0]):
        raise FoolCaffeError(
            "the start is what you want already: there is nothing to fool",
            "choose another class, another start, or a higher --confidence",
        )
    result = attack(method_name, net, start, criterion, seed=seed, **options)
    wanted = "best class" if criterion.confidence is None else f"confidence {criterion.confidence:g}"
    if criterion.target is None:
        wanted = "another best class"
    if not result.success["image"]:
        eps = options.get("eps")
        within = f"within 0..255{'' if eps is None else f' and {eps:g} grey levels of the start'}"
        raise FoolCaffeError(
            f"not reached {within} by {method_name}: {wanted}; "
            f"the highest confidence in the class was {percent(result.best)}, after {result.queries} queries"
            + (f"\n    {result.note}" if result.note else ""),
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

    target = synsets[_reached(criterion, verdict)]
    proved = result.certificate
    kind: Any = "flip" if criterion.confidence is None else {"confidence": criterion.confidence}
    return {
        "target": {"id": target.id, "wnid": target.wnid, "name": target.name},
        "criterion": kind if criterion.target is not None else {"not": synsets[criterion.sought].name},
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
        **({"certificate": asdict(proved)} if proved else {}),
        "verified": verdict.fooled,
        "engine": engine.name(),
        "model": str(model.folder),
        "sha256": {
            "start": hashlib.sha256(result.start.array.tobytes()).hexdigest(),
            **_hashes(model),
        },
        "trajectory": [[f, c] for f, c in result.trajectory],
    }


@lru_cache(maxsize=1)
def _hashes(model: TrainedModel) -> dict[str, str]:
    """Of the model's files; they do not change while a command runs."""
    mean = {"mean": sha256(model.mean)} if model.mean else {}
    return {"weights": sha256(model.weights), "deploy": sha256(model.deploy), **mean}


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
        metavar="ID|WNID|NAME",
        help="the class the net shall see; given several times, the figure has a row for each",
    )
    parser.add_argument("--all-targets", action="store_true", help="every class in turn; draws a sheet of all")
    parser.add_argument(
        "--untargeted", action="store_true", help="any class but the one that the net sees in the start"
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--image", type=Path, metavar="FILE", help="begin with this picture, whatever its size or kind")
    start.add_argument(
        "--start",
        metavar="noise|grey|val:N",
        help="begin with noise, with flat grey, or with validation image N (default: one that the net gets right)",
    )
    goal = parser.add_mutually_exclusive_group()
    goal.add_argument(
        "--confidence", type=float, default=0.99, metavar="P", help="until the net is this sure (default: %(default)s)"
    )
    goal.add_argument("--flip", action="store_true", help="until the class is the best one, however unsure")
    parser.add_argument(
        "--method", default="gradient", help="one of: " + ", ".join(METHODS) + " (default: %(default)s)"
    )
    parser.add_argument("--norm", choices=("l2", "linf"), help="what is made small (default: the method's)")
    parser.add_argument("--eps", type=float, metavar="E", help="largest norm of the change, in grey levels")
    parser.add_argument("--steps", type=int, metavar="N", help="of methods that make many (default: the method's)")
    parser.add_argument(
        "--step-size", type=float, metavar="S", help="of a step, in grey levels (default: the method's)"
    )
    parser.add_argument("--queries", type=int, metavar="N", help="end after so many images scored")
    parser.add_argument("--seconds", type=float, metavar="T", help="end after so long")
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
    goals = [bool(options.targets), options.all_targets, options.untargeted]
    if sum(goals) != 1:
        _parser().error("one of --class, --all-targets and --untargeted is needed")
    confidence = None if options.flip or options.untargeted else options.confidence
    Criterion(0, confidence)  # a bad confidence is said before anything is loaded
    method(options.method)
    model = find_trained(options.model, options.weights, options.mean)
    synsets = model.synsets()
    wanted = [synsets.find(text) for text in options.targets or ()]
    net = model.classifier(options.gpu)
    start, start_name, short = choose_start(options, model, net, [t.id for t in wanted])
    before = net.probabilities(start.to_bgr())[0]
    seen = int(before.argmax())
    if options.untargeted:
        criteria = [Criterion(label=seen)]
    else:
        criteria = [Criterion(t.id, confidence) for t in (wanted or [s for s in synsets if s.id != seen])]
    out: Path = options.out or model.dataset / "fool"
    out.mkdir(parents=True, exist_ok=True)
    if not options.quiet:
        print(
            f"model: {model.folder} ({net.classes} classes); start: {start_name}; seed {options.seed}", file=sys.stderr
        )
    rows, records, sheet, failed = [], [], [], 0
    with Progress(len(criteria), "classes", options.method, options.quiet or len(criteria) < 10) as progress:
        for criterion in criteria:
            name = f"not-{synsets[seen].name}" if criterion.target is None else synsets[criterion.target].name
            stem = _stem(model, short, [name])
            try:
                result, verdict = fool(
                    net,
                    start,
                    criterion,
                    method_name=options.method,
                    seed=options.seed,
                    png=out / f"{stem}.png",
                    norm=options.norm,
                    eps=options.eps,
                    steps=options.steps,
                    step_size=options.step_size,
                    budget=_budget(options),
                )
            except FoolCaffeError as error:
                if len(criteria) == 1:
                    raise
                print(f"foolcaffe.fool: error: {name}: {error}", file=sys.stderr)
                failed += 1
                continue
            finally:
                progress.advance()
            delta = result.image.to_bgr().array - start.to_bgr().array
            amplified = 127.0 / max(float(np.abs(delta).max()), 1.0)
            write_png(out / f"{stem}-perturbation.png", template_image(delta, 127.5 / amplified))
            record = _record(result, verdict, before, criterion, model, start_name, options)
            record["perturbation_amplified"] = amplified
            record["sha256"]["png"] = sha256(out / f"{stem}.png")
            write_json(out / f"{stem}.json", record)
            records.append(record)
            if options.all_targets:
                sheet.append((result.image, f"{record['target']['name']}", f"{verdict.distances.l2:.0f}"))
                continue
            rows.append(_row(result, verdict, before, synsets[_reached(criterion, verdict)], synsets, options.method))
            if not options.json:
                print(out / f"{stem}.png" if options.quiet else _summary(record, out / f"{stem}.png"))
    title = f"{model.dataset.name}, {model.folder.name}: from {start_name} to "
    if sheet:
        path = out / f"{_stem(model, short, ['all'])}-sheet.png"
        sizes = sorted(r["l2"] for r in records)
        told = f"{title}{len(sheet)} classes by {options.method}; L2 {sizes[0]:.0f} to {sizes[-1]:.0f}"
        target_sheet(path, start, sheet, f"{told}, median {sizes[len(sizes) // 2]:.0f}")
        if not options.json:
            print(path)
    if rows:
        stem = _stem(model, short, [r["target"]["name"] for r in records])
        names = " and ".join(r["target"]["name"] for r in records)
        fooling_figure(out / f"{stem}-figure.png", rows, title + names)
        if not options.json and not options.quiet:
            print(f"figure  {out / stem}-figure.png")
    if options.json:
        print(json.dumps(records[0] if len(criteria) == 1 else records, indent=2, ensure_ascii=False))
    return EXIT_FAILED if failed else 0


def _reached(criterion: Criterion, verdict: Verdict) -> int:
    """The class that was reached: the target, or untargeted whatever came out."""
    return int(verdict.probabilities.argmax()) if criterion.target is None else criterion.target


def _budget(options: argparse.Namespace) -> Budget | None:
    """The budget asked for, with a word every few seconds; None for a method that knows none."""
    if options.queries is None and options.seconds is None and options.quiet:
        return None
    return Budget(options.queries, options.seconds, None if options.quiet else _teller())


def _teller() -> Callable[[int, float], None]:
    last = time.monotonic()

    def tell(steps: int, best: float) -> None:
        nonlocal last
        if time.monotonic() - last >= Progress.LINE_EVERY_S:
            last = time.monotonic()
            print(f"step {steps}, best confidence so far {percent(best)}", file=sys.stderr, flush=True)

    return tell


def _stem(model: TrainedModel, short: str, targets: list[str]) -> str:
    return re.sub(r"[^\w.-]+", "_", f"{model.folder.name}-{short}-to-{'-'.join(targets)}")


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
        f"L2 {record['l2']:.1f}\n" + _proof(record) + f"written {png}"
    )


def _proof(record: dict[str, Any]) -> str:
    proved = record.get("certificate")
    if not proved:
        return ""
    return (
        f"proved  no 8-bit image within {proved['norm'].replace('l2', 'L2').replace('linf', 'L∞')} {proved['png']:.4g} "
        f"fools, none of real numbers within {proved['floats']:.4g}\n"
    )


if __name__ == "__main__":
    run_cli(main, "foolcaffe.fool")
