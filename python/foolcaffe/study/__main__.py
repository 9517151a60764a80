"""Measure every claim of the post and the note, and write one report. ``python -m foolcaffe.study [PART …]``.

A part that is done is not run again; one that was interrupted goes on; one that fails is shown as failed, and the
others go on. The report is ``build/<dataset>/study/report.html``.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from foolcaffe import engine
from foolcaffe.engine import ROOT
from foolcaffe.errors import EXIT_FAILED, FoolCaffeError, nearest, run_cli
from foolcaffe.locks import locked
from foolcaffe.options import command_line
from foolcaffe.study.light import write_light
from foolcaffe.study.parts import PARTS
from foolcaffe.study.report import About, write_report
from foolcaffe.study.runner import RECORD, dataset_hashes, read_record, run_part


def main(arguments: list[str]) -> int:
    """Parse, run, write the report; 1 if a part failed."""
    parts = "parts:\n" + "\n".join(f"  {name:16} {part.title}" for name, part in PARTS.items())
    parser = command_line("foolcaffe.study", __doc__, "gpu quiet", parts)
    parser.add_argument("part", nargs="*", metavar="PART", help="default: all, in the order below")
    parser.add_argument(
        "--dataset", type=Path, default=ROOT / "build" / "demo", help="build/<dataset> (default: build/demo)"
    )
    parser.add_argument("--again", action="store_true", help="run these parts even if they are done")
    parser.add_argument("--report-only", action="store_true", help="run nothing; write the report of what there is")
    parser.add_argument(
        "--light",
        type=Path,
        metavar="HTML",
        help="write a copy for a repository too: 2 MB of figures, no images of the dataset, its numbers as JSON",
    )
    options = parser.parse_args(arguments)
    engine.quiet = options.quiet
    for name in options.part:
        if name not in PARTS:
            raise FoolCaffeError(f"unknown part {name!r}", nearest(name, PARTS) or f"parts: {', '.join(PARTS)}")
    dataset: Path = options.dataset
    hashes = dataset_hashes(dataset)
    report = dataset / "study" / "report.html"
    names = [] if options.report_only else options.part or list(PARTS)
    with locked(dataset / "study" / ".lock", f"the study of {dataset}") if names else nullcontext():
        failed = _run(names, dataset, hashes, options)
    found = [read_record(dataset / "study" / name / RECORD) for name in PARTS]
    records = [record for record in found if record is not None]
    if not records:
        raise FoolCaffeError(f"nothing was measured yet under {dataset}/study", "run it without --report-only")
    write_report(report, About.of(dataset), records)
    print(report)
    if options.light:
        write_light(options.light, About.of(dataset), records, report.parent)
        print(options.light)
    if failed:
        print(f"failed: {', '.join(failed)}; the same command tries them again", file=sys.stderr)
    return EXIT_FAILED if failed else 0


def _run(names: list[str], dataset: Path, hashes: dict[str, str], options: argparse.Namespace) -> list[str]:
    """Run parts, saying what each found; the names of those that failed."""
    failed = []
    for name in names:
        record = run_part(name, PARTS[name], dataset, hashes, options.gpu, options.quiet, options.again)
        if record.error:
            failed.append(name)
        found = ", ".join(f"{count} {verdict}" for verdict, count in record.counts.items() if count)
        if not options.quiet:
            print(f"{name:16} " + (f"failed: {record.trouble}" if record.error else found), flush=True)
    return failed


if __name__ == "__main__":
    run_cli(main, "foolcaffe.study")
