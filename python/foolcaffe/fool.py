"""Make a fooling image: change a picture as little as possible until the net sees the class that you want.

The net is fooled only when the PNG, read back from disk, fools it; every number printed is measured on that PNG.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from foolcaffe import engine, starts
from foolcaffe.attacks import METHODS, Budget, Criterion, checked, read_option
from foolcaffe.classes import Synset, Synsets
from foolcaffe.errors import EXIT_FAILED, FoolCaffeError, run_cli
from foolcaffe.figures import FoolingRow, fooling_figure, percent, target_sheet
from foolcaffe.fooling import Setup, fool, row, save, summary
from foolcaffe.images import Rgb8
from foolcaffe.options import command_line
from foolcaffe.progress import Progress
from foolcaffe.trained import find_trained

NAMED = 4
"""Targets that the name of a figure lists at most."""


def _parser() -> argparse.ArgumentParser:
    codes = "exit code: 0 fooled, 1 not possible, 2 wrong usage"
    parser = command_line("foolcaffe.fool", __doc__, "model weights mean seed device json quiet", codes)
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
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option of the method, as restarts=5 of iterated or prior=tv of visualise",
    )
    parser.add_argument("--queries", type=int, metavar="N", help="end after so many images scored")
    parser.add_argument("--seconds", type=float, metavar="T", help="end after so long")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: build/<dataset>/fool")
    return parser


def main(arguments: list[str]) -> int:
    """Parse, fool, write for each class PNG, perturbation and record, and a figure."""
    options = _parser().parse_args(arguments)
    engine.quiet = options.quiet
    if sum([bool(options.targets), options.all_targets, options.untargeted]) != 1:
        _parser().error("one of --class, --all-targets and --untargeted is needed")
    confidence = None if options.flip or options.untargeted else options.confidence
    Criterion(0, confidence)  # a mistake in the options is reported before anything is loaded
    method_options = _method_options(options)
    budget = Budget(options.queries, options.seconds, None if options.quiet else _teller())
    model = find_trained(options.model, options.weights, options.mean)
    synsets = model.synsets()
    wanted = list(dict.fromkeys(synsets.find(text) for text in options.targets or ()))
    net = model.classifier(options.gpu)
    if options.image is not None:
        start = starts.from_file(options.image, net)
    elif options.start is not None:
        start = starts.named(options.start, model, net, options.seed)
    else:
        start = starts.default(model, net, [t.id for t in wanted])
    before = net.probabilities(start.image.to_bgr())[0]
    setup = Setup(model, net, start, before, options.method, method_options, options.seed)
    seen = int(before.argmax())
    if options.untargeted:
        criteria = [Criterion(label=seen)]
    else:
        criteria = [Criterion(t.id, confidence) for t in (wanted or [s for s in synsets if s.id != seen])]
    out: Path = options.out or model.dataset / "fool"
    out.mkdir(parents=True, exist_ok=True)
    if not options.quiet:
        print(
            f"model: {model.folder} ({net.classes} classes); start: {start.description}; seed {options.seed}",
            file=sys.stderr,
        )

    def stem(targets: list[str]) -> str:
        method = "" if options.method == "gradient" else f"-{options.method}"
        norm = f"-{options.norm}" if options.norm else ""
        named = "-".join(targets) if len(targets) <= NAMED else f"{len(targets)}-classes"
        return re.sub(r"[^\w.-]+", "_", f"{model.folder.name}-{start.short}-to-{named}{method}{norm}")

    rows: list[FoolingRow] = []
    sheet: list[tuple[Rgb8, str, str]] = []
    records: list[dict[str, Any]] = []
    with Progress(len(criteria), "classes", options.method, options.quiet or len(criteria) < 10) as progress:
        for criterion in criteria:
            name = _name(criterion, synsets)
            png = out / f"{stem([name])}.png"
            try:
                fooled = fool(setup, criterion, png, budget)
            except FoolCaffeError as error:
                if len(criteria) == 1:
                    raise
                progress.say(f"foolcaffe.fool: error: {name}: {error.message}")
                continue
            finally:
                progress.advance()
            record = save(setup, fooled)
            records.append(record)
            if options.all_targets:
                sheet.append((fooled.result.image, record["target"]["name"], f"{record['l2']:.0f}"))
                continue
            rows.append(row(setup, fooled))
            if not options.json:
                print(png if options.quiet else summary(record, png))
    title = f"{model.dataset.name}, {model.folder.name}: from {start.description} to"
    if sheet:
        sizes = [r["l2"] for r in records]
        found = f"{len(sheet)} classes by {options.method}; L2 {min(sizes):.0f} to {max(sizes):.0f}"
        path = out / f"{stem(['all'])}-sheet.png"
        target_sheet(path, start.image, sheet, f"{title} {found}, median {statistics.median(sizes):.0f}")
        if not options.json:
            print(path)
    if rows:
        names = [_name(c, synsets) for c in criteria] if options.untargeted else [r["target"]["name"] for r in records]
        path = out / f"{stem(names)}-figure.png"
        shown = " and ".join(r["target"]["name"] for r in records)
        fooling_figure(path, rows, f"{title} {shown}, by {options.method}")
        if not options.json and not options.quiet:
            print(f"figure  {path}")
    if options.json:
        print(json.dumps(records[0] if len(criteria) == 1 else records, indent=2, ensure_ascii=False))
    return EXIT_FAILED if len(records) < len(criteria) else 0


def _method_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the method that were given, checked."""
    named = {key: getattr(options, key) for key in ("norm", "eps", "steps", "step_size")}
    given = {key: value for key, value in named.items() if value is not None}
    for text in options.set:
        key, value = read_option(options.method, text)
        if key in given:
            raise FoolCaffeError(f"{key} is given twice", "once is enough")
        given[key] = value
    checked(options.method, {**given, "seed": options.seed})
    return given


def _name(criterion: Criterion, synsets: Synsets) -> str:
    """What names of files say of a goal."""
    sought: Synset = synsets[criterion.sought]
    return f"not-{sought.name}" if criterion.target is None else sought.name


def _teller() -> Callable[[int, float], None]:
    """A line about every ten seconds, while one image takes long."""
    last = time.monotonic()

    def tell(queries: int, best: float) -> None:
        nonlocal last
        if time.monotonic() - last >= Progress.LINE_EVERY_S:
            last = time.monotonic()
            print(f"{queries:,} images scored, best confidence so far {percent(best)}", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    run_cli(main, "foolcaffe.fool")
