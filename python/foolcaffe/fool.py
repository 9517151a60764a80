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
from foolcaffe.animation import FORMATS, animate
from foolcaffe.attacks import METHODS, Budget, Criterion, checked, read_option
from foolcaffe.classes import Synset, Synsets
from foolcaffe.errors import EXIT_FAILED, FoolCaffeError, UsageError, run_cli
from foolcaffe.figures import ROWS, Cell, contact_sheet, fooling_figure, percent
from foolcaffe.fooling import Setup, fool, row, save, summary, table, write_csv
from foolcaffe.options import command_line
from foolcaffe.progress import Progress
from foolcaffe.starts import Start
from foolcaffe.trained import TrainedModel, find_trained

NAMED = 4
"""Targets that the name of a figure lists at most."""


def _parser() -> argparse.ArgumentParser:
    codes = "exit code: 0 fooled, 1 not possible (for any of the images or classes), 2 wrong usage"
    parser = command_line("foolcaffe.fool", __doc__, "model weights mean seed device json quiet", codes)
    add = parser.add_argument
    add(
        "--class",
        dest="targets",
        action="append",
        metavar="ID|WNID|NAME",
        help="the class the net shall see; given several times, the figure has a row for each",
    )
    add("--all-targets", action="store_true", help="every class in turn; draws a sheet of all")
    add("--untargeted", action="store_true", help="any class but the one that the net sees in the start")
    start = parser.add_mutually_exclusive_group()
    text = "begin with this picture, whatever its size or kind; given several times, each is fooled"
    start.add_argument("--image", dest="images", action="append", type=Path, metavar="FILE", help=text)
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
    add("--method", default="gradient", help="one of: " + ", ".join(METHODS) + " (default: %(default)s)")
    add("--norm", choices=("l2", "linf"), help="what is made small (default: the method's)")
    add("--eps", type=float, metavar="E", help="largest norm of the change, in grey levels")
    add("--steps", type=int, metavar="N", help="of methods that make many (default: the method's)")
    add("--step-size", type=float, metavar="S", help="of a step, in grey levels (default: the method's)")
    text = "any other option of the method, as restarts=5 of iterated or prior=tv of visualise"
    add("--set", action="append", default=[], metavar="NAME=VALUE", help=text)
    add("--queries", type=int, metavar="N", help="end after so many images scored")
    add("--seconds", type=float, metavar="T", help="end after so long")
    add("--out", type=Path, metavar="DIR", help="default: build/<dataset>/fool")
    add("--csv", type=Path, metavar="FILE", help="write a table too, a line for each image and class")
    text = "draw the way from the start to the fooling image too (default: a GIF)"
    add("--animate", nargs="?", const="gif", choices=FORMATS, help=text)
    add("--trace", action="store_true", help="put every step that was looked at into the record")
    return parser


def main(arguments: list[str]) -> int:
    """Parse, fool, write for each class PNG, perturbation and record, and a figure."""
    parser = _parser()
    options = parser.parse_args(arguments)
    engine.quiet = options.quiet
    goals = ("--class", options.targets), ("--all-targets", options.all_targets), ("--untargeted", options.untargeted)
    given = [name for name, value in goals if value]
    if len(given) != 1:
        parser.error(
            f"{' and '.join(given)} were given: only one of them can be"
            if given
            else "one of --class, --all-targets and --untargeted is needed"
        )
    try:  # a mistake in the options is reported before anything is loaded
        confidence = None if options.flip or options.untargeted else options.confidence
        Criterion(0, confidence)
        method_options = _method_options(options)
        budget = Budget(options.queries, options.seconds, None if options.quiet else _teller())
    except FoolCaffeError as error:
        raise UsageError(error.message, error.hint) from None
    model = find_trained(options.model, options.weights, options.mean)
    synsets = model.synsets()
    wanted = list(dict.fromkeys(synsets.find(text) for text in options.targets or ()))
    net = model.classifier(options.gpu)
    if options.images:
        chosen = starts.from_files(options.images, net)
    elif options.start is not None:
        chosen = [starts.named(options.start, model, net, options.seed)]
    else:
        chosen = [starts.default(model, net, [t.id for t in wanted])]
    if options.start is not None and options.method == "evolve" and method_options.get("encoding") != "direct":
        print("note: evolve paints its images anew: --start is only what the change is measured from", file=sys.stderr)
    out: Path = options.out or model.dataset / "fool"
    out.mkdir(parents=True, exist_ok=True)
    if not options.quiet:
        begin = chosen[0].description if len(chosen) == 1 else f"{len(chosen)} images"
        text = f"model: {model.folder} ({net.classes} classes); start: {begin}; seed {options.seed}"
        print(text, file=sys.stderr)
    job = _Job(options, model, synsets, out)
    for start in chosen:
        before = net.probabilities(start.image.to_bgr())[0]
        setup = Setup(model, net, start, before, options.method, method_options, options.seed)
        seen = int(before.argmax())
        if options.untargeted:
            criteria = [Criterion(label=seen)]
        else:
            criteria = [Criterion(t.id, confidence) for t in (wanted or [s for s in synsets if s.id != seen])]
        job.fool(setup, criteria, budget, alone=len(chosen) * len(criteria) == 1)
    return job.finish(chosen)


class _Job:
    """What one command makes: images, records, figures, a table."""

    def __init__(self, options: argparse.Namespace, model: TrainedModel, synsets: Synsets, out: Path) -> None:
        self.options, self.model, self.synsets, self.out = options, model, synsets, out
        self.records: list[dict[str, Any]] = []
        self.cells: list[Cell] = []
        self.failed = 0

    def stem(self, start: str, targets: list[str]) -> str:
        """The name of files, without what they end in."""
        method = "" if self.options.method == "gradient" else f"-{self.options.method}"
        norm = f"-{self.options.norm}" if self.options.norm else ""
        named = "-".join(targets) if len(targets) <= NAMED else f"{len(targets)}-classes"
        return re.sub(r"[^\w.-]+", "_", f"{self.model.folder.name}-{start}-to-{named}{method}{norm}")

    def say(self, text: object) -> None:
        """Print a result, unless JSON is asked for."""
        if not self.options.json:
            print(text)

    def fool(self, setup: Setup, criteria: list[Criterion], budget: Budget, alone: bool) -> None:
        """Fool one start into each class; ``alone`` makes a failure the command's."""
        options, rows, names = self.options, [], []
        self.cells.append(Cell(setup.start.image, setup.start.short, starts=True))
        few = options.quiet or len(criteria) < 10
        with Progress(len(criteria), "classes", options.method, few) as progress:
            for criterion in criteria:
                name = _name(criterion, self.synsets)
                png = self.out / f"{self.stem(setup.start.short, [name])}.png"
                try:
                    fooled = fool(setup, criterion, png, budget)
                except FoolCaffeError as error:
                    if alone:
                        raise
                    self.failed += 1
                    text = f"foolcaffe.fool: error: {setup.start.short} to {name}: {error.message}"
                    print(text, file=sys.stderr) if few else progress.say(text)
                    continue
                finally:
                    progress.advance()
                record = save(setup, fooled, options.trace)
                self.records.append(record)
                reached = record["target"]["name"]
                self.cells.append(Cell(fooled.result.image, f"{reached}, L2 {record['l2']:.0f}"))
                if options.all_targets:
                    continue
                names.append(name if options.untargeted else reached)
                rows.append(row(setup, fooled))
                if options.animate:
                    path = png.with_suffix(f".{options.animate}")
                    animate(path, fooled.result, setup.net, self.synsets, fooled.reached)
                self.say(png if options.quiet else summary(record, png))
                if options.animate and not options.quiet:
                    self.say(f"film    {path}")
        if rows and len(rows) <= ROWS:
            path = self.out / f"{self.stem(setup.start.short, names)}-figure.png"
            fooling_figure(path, rows, self._title(setup.start, " and ".join(row.reached for row in rows)))
            if not options.quiet:
                self.say(f"figure  {path}")

    def _title(self, start: Start, classes: str) -> str:
        model = f"{self.model.dataset.name}, {self.model.folder.name}"
        return f"{model}: from {start.description} to {classes}, by {self.options.method}"

    def finish(self, chosen: list[Start]) -> int:
        """Draw the sheet of many images, print and write the tables; the exit code."""
        options = self.options
        if self.records and (options.all_targets or len(chosen) > 1 or len(self.records) > ROWS):
            sizes = [r["l2"] for r in self.records]
            start = chosen[0].short if len(chosen) == 1 else f"{len(chosen)}-images"
            named = ["all"] if options.all_targets else sorted({r["target"]["name"] for r in self.records})
            path = self.out / f"{self.stem(start, named)}-sheet.png"
            begin = f"from {chosen[0].description}" if len(chosen) == 1 else f"{len(chosen)} images"
            contact_sheet(
                path,
                self.cells,
                f"{self.model.dataset.name}, {self.model.folder.name}: {begin}, {len(sizes)} fooled by "
                f"{options.method}; L2 {min(sizes):.0f} to {max(sizes):.0f}, median {statistics.median(sizes):.0f}",
            )
            if len(chosen) > 1 and not options.quiet:
                self.say(table(self.records))
            self.say(path)
        if options.csv:
            write_csv(options.csv, self.records)
        if options.json:
            single = len(self.records) + self.failed == 1
            print(json.dumps(self.records[0] if single else self.records, indent=2, ensure_ascii=False))
        return EXIT_FAILED if self.failed else 0


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
        if queries and time.monotonic() - last >= Progress.LINE_EVERY_S:
            last = time.monotonic()
            found = f", best confidence so far {percent(best)}" if best > 0 else ""
            print(f"{queries:,} images scored{found}", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    run_cli(main, "foolcaffe.fool")
