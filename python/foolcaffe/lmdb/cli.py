"""``python -m foolcaffe.lmdb``: parse, call, print."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from foolcaffe.archives.sources import MAX_PIXELS
from foolcaffe.datasets import catalog
from foolcaffe.errors import EXIT_FAILED
from foolcaffe.lmdb import plan, road, shard
from foolcaffe.lmdb.store import drop
from foolcaffe.options import command_line, shared

EPILOG = """ROOT may be, or lead into, a tar (also ILSVRC2012_img_train.tar, a tar of tars), a zip or a batch of the
downsampled ImageNet: images.zip/train/ say. An interrupted build goes on when the same command is given again.
exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted"""


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _add_source(command: argparse.ArgumentParser) -> None:
    command.add_argument("root", metavar="ROOT", help="folder or archive that the list's paths are below")
    command.add_argument("list", type=Path, metavar="LIST", help="lines '<path below ROOT> <class id>'")
    command.add_argument("database", type=Path, metavar="DB", help="the LMDB to make")
    command.add_argument("--size", type=_positive, help="pixels a side (default: 64)")
    for side in ("height", "width"):
        text = "as convert_imageset's (default: 64)"
        command.add_argument(f"--resize_{side}", f"--resize-{side}", type=_positive, metavar="PIXELS", help=text)
    command.add_argument("--gray", action="store_true", help="one channel")
    command.add_argument(
        "--resize",
        choices=("linear", "area"),
        default="linear",
        help="linear: Caffe's, the same bytes as convert_imageset; area: antialiased (default: %(default)s)",
    )
    command.add_argument("--shuffle", type=int, metavar="SEED", help="shuffle the list with this seed")
    command.add_argument("--classes", type=_positive, metavar="N", help="labels must be 0..N-1")
    command.add_argument(
        "--keep-duplicates", action="store_true", help="store a path as often as it is listed, as convert_imageset does"
    )
    command.add_argument(
        "--max-pixels", type=_positive, default=MAX_PIXELS, help="larger images are rejected (default: %(default)s)"
    )
    command.add_argument("--restart", action="store_true", help="forget what an unfinished build left")


def _add_work(command: argparse.ArgumentParser) -> None:
    command.add_argument("--workers", type=_positive, default=0, help="decoding processes (default: all cores)")
    command.add_argument(
        "--skip-bad", action="store_true", help="leave out what cannot be stored, and name it in DB/bad_images.txt"
    )


def _add_end(command: argparse.ArgumentParser) -> None:
    command.add_argument("--mean", type=Path, metavar="FILE", help="write the mean, as compute_image_mean does")
    command.add_argument("--no-verify", action="store_true", help="do not read everything back before publishing")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    text = "LMDBs as convert_imageset makes them, with every core and every image accounted for."
    top = command_line("foolcaffe.lmdb", text, epilog=EPILOG)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, **more: Any) -> argparse.ArgumentParser:
        raw = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(name, help=text, description=text, epilog=EPILOG, formatter_class=raw, **more)

    quiet = [shared("quiet")]
    build = add("build", "build a database on this machine", parents=quiet)
    _add_source(build)
    _add_work(build)
    _add_end(build)
    planned = add("plan", "fix the records and cut them into shards, for 'shard' on any machines")
    _add_source(planned)
    planned.add_argument("--shards", type=_positive, default=1, metavar="N")
    planned.add_argument("--skip-bad", action="store_true", help="go on although lines cannot be used")
    one = add("shard", "make one shard of a plan; safe to repeat", parents=quiet)
    one.add_argument("database", type=Path, metavar="DB")
    one.add_argument("number", type=int, metavar="NUMBER", help="0..N-1")
    _add_work(one)
    merge = add("merge", "merge the finished shards, verify and publish", parents=quiet)
    merge.add_argument("database", type=Path, metavar="DB")
    _add_end(merge)
    check = add(
        "validate",
        "check every record's size, label and checksum, and compare with the list",
        aliases=["verify"],
        parents=quiet,
    )
    check.add_argument("database", type=Path, metavar="DB")
    check.add_argument("list", type=Path, nargs="?", metavar="LIST")
    check.add_argument("--size", type=_positive, help="expected pixels a side")
    check.add_argument("--classes", type=_positive, metavar="N", help="labels must be 0..N-1")
    removal = add("drop", "delete the records of the images that a file names")
    removal.add_argument("database", type=Path, metavar="DB")
    removal.add_argument("bad", type=Path, metavar="BAD", help="lines '<path><tab><reason>'")
    average = add("mean", "the mean image of a database, as compute_image_mean computes it", parents=quiet)
    average.add_argument("database", type=Path, metavar="DB")
    average.add_argument("out", type=Path, metavar="FILE")
    catalog.add_arguments(
        add("list", "write the list (and class names) of a dataset: archives, Kaggle's layout, batches")
    )
    return top


def main(arguments: list[str]) -> int:
    """Run a command line."""
    options = parser().parse_args(arguments)
    if options.command == "list":
        return catalog.run(options)
    if options.command == "mean":
        from foolcaffe.lmdb.mean import write_mean

        write_mean(options.out, options.database, options.quiet)
        return 0
    if options.command == "drop":
        lines = options.bad.read_text(encoding="utf-8").splitlines()
        drop(options.database, {line.partition("\t")[0] for line in lines})
        return 0
    if options.command in ("validate", "verify"):
        return _validate(options)
    database: Path = Path(str(options.database).rstrip("/"))
    if options.command in ("build", "plan"):
        settings = plan.Settings(
            options.resize_height or options.size or 64,
            options.resize_width or options.size or 64,
            options.gray,
            options.resize,
            options.shuffle,
            options.classes,
            options.keep_duplicates,
            options.max_pixels,
        )
        if options.command == "plan":
            planned = road.make_plan(
                options.root, options.list, database, settings, options.shards, options.skip_bad, options.restart
            )
            print(
                f"{planned.count} lines, {planned.rejected} of them unusable, in {planned.shards} shards: "
                f"python -m foolcaffe.lmdb shard {database} 0..{planned.shards - 1}, then merge"
            )
            return 0
    if options.command == "merge":
        return _print_report(road.merge_shards(database, options.quiet, options.mean, not options.no_verify), database)
    work = shard.Options(options.skip_bad, options.quiet, database.name)
    if options.command == "shard":
        made = road.build_shard(database, options.number, work, options.workers)
        return _print_report(made, Path(f"{database}, shard {options.number}"))
    source, end = (options.root, options.list), (options.mean, not options.no_verify, options.restart)
    return _print_report(road.build(*source, database, settings, work, options.workers, *end), database)


def _print_report(report: dict[str, Any], what: Path) -> int:
    bad = len(report["rejected"])
    named = f", {bad} left out: see bad_images.txt" if bad else ""
    print(f"{what}: {report['lines']} lines = {report['stored']} records{named}; digest {report['digest']}")
    return 0


def _validate(options: argparse.Namespace) -> int:
    from foolcaffe.lmdb import validate  # with protobuf, which a builder does without

    size = (options.size, options.size) if options.size else None
    found = validate.validate(options.database, options.list, size, options.classes, options.quiet)
    for line in found.wrong[: validate.SHOWN + 1]:
        print(line, file=sys.stderr)
    if found.wrong:
        more = len(found.wrong) - validate.SHOWN - 1
        print(
            f"{options.database}: {len(found.wrong)} faults" + (f" ({more} not shown)" if more > 0 else ""),
            file=sys.stderr,
        )
        return EXIT_FAILED
    checked = "checksums equal" if found.checked else "it carries no checksums"
    print(f"{options.database}: {found.records} records, none is wrong, {checked}; their sha256 is {found.sha256}")
    return 0
