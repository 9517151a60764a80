"""Compare an LMDB with the list it was built from, before any training. ``python -m foolcaffe.validate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from foolcaffe.classes import read_synsets
from foolcaffe.datums import DatumLMDB
from foolcaffe.errors import FoolCaffeError, run_cli
from foolcaffe.images import read_image
from foolcaffe.lists import read_list
from foolcaffe.mean import read_mean
from foolcaffe.progress import Progress

SHOWN = 10
"""Differences of a kind that are printed one by one; the rest is counted."""


def differences(
    database: Path, listing: Path, root: Path | None, size: int, classes: int, bad: Path | None, quiet: bool = False
) -> list[str]:
    """What an LMDB lacks, has too much, or has otherwise than its list says; empty if nothing.

    Args:
        database: the LMDB's folder.
        listing: its list; record i has the key ``%08d_<path>`` of line i and that line's label.
        root: where the images lie; only a message names it.
        size: expected height and width in pixels; channels are 3.
        classes: labels are below this.
        bad: ``bad_images.txt``, the lines that were skipped on purpose.
        quiet: no progress.

    Raises:
        FoolCaffeError: the list or the database cannot be read at all.
    """
    entries = read_list(listing, classes)
    skipped = {line.split("\t")[0] for line in bad.read_text("utf-8").splitlines()} if bad and bad.exists() else set()
    expected = {f"{i:08d}_{path}": label for i, (path, label) in enumerate(entries) if path not in skipped}
    found: list[str] = []
    seen = 0
    with (
        DatumLMDB(database) as records,
        Progress(len(records), "records", f"validate {database.name}", quiet) as progress,
    ):
        for key, value in records.items():
            progress.advance()
            seen += 1
            label = expected.pop(key, None)
            if label is None:
                found.append(f"record {key!r} is not in {listing}")
                continue
            try:
                record = records.decode(key, value)
            except FoolCaffeError as error:
                found.append(error.message)
                continue
            if record.label != label:
                found.append(f"record {key!r} has label {record.label}, {listing} says {label}")
            if record.pixels.shape != (3, size, size):
                found.append(f"record {key!r} is {' × '.join(map(str, record.pixels.shape))}, not 3 × {size} × {size}")
    found += [f"{listing} names {key[9:]} (line {int(key[:8]) + 1}), which {database} lacks" for key in expected]
    if found:
        found.insert(
            0,
            f"{database} has {seen} records, {listing} has {len(entries)} lines"
            + (f", {len(skipped)} skipped as bad" if skipped else "")
            + (f"; images under {root}" if root else ""),
        )
    return found


def bad_images(root: Path, listing: Path, quiet: bool = False) -> list[tuple[str, str]]:
    """(path, reason) of each image of a list that cannot be decoded whole."""
    bad = []
    entries = read_list(listing)
    with Progress(len(entries), "images", "looking for bad images", quiet) as progress:
        for path, _ in entries:
            progress.advance()
            try:
                read_image(root / path)
            except (FoolCaffeError, OSError) as error:
                bad.append((path, str(error).splitlines()[0]))
    return bad


def main(arguments: list[str]) -> int:
    """Parse, compare, print the difference."""
    parser = argparse.ArgumentParser(prog="python -m foolcaffe.validate", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    lmdb = commands.add_parser("lmdb", help="an LMDB (and its mean) against its list")
    lmdb.add_argument("database", type=Path, metavar="LMDB")
    lmdb.add_argument("list", type=Path, metavar="LIST")
    lmdb.add_argument("--synsets", type=Path, required=True, help="synset_words.txt: how many classes there are")
    lmdb.add_argument("--mean", type=Path, help="a mean that must have the images' shape")
    lmdb.add_argument("--bad", type=Path, help="bad_images.txt: lines that were skipped on purpose")
    lmdb.add_argument("--size", type=int, default=64)
    images = commands.add_parser("images", help="print the images of a list that cannot be decoded; exit 1 if any")
    images.add_argument("root", type=Path, metavar="ROOT")
    images.add_argument("list", type=Path, metavar="LIST")
    for command in (lmdb, images):
        command.add_argument("--quiet", action="store_true")
    options = parser.parse_args(arguments)
    if options.command == "images":
        bad = bad_images(options.root, options.list, options.quiet)
        for path, reason in bad:
            print(f"{path}\t{reason}")
        return 1 if bad else 0
    classes = len(read_synsets(options.synsets))
    found = differences(options.database, options.list, None, options.size, classes, options.bad, options.quiet)
    if options.mean is not None:
        shape = read_mean(options.mean).shape
        if shape != (3, options.size, options.size):
            found.append(f"{options.mean} is {' × '.join(map(str, shape))}, not 3 × {options.size} × {options.size}")
    if found:
        rest = f"\n… and {len(found) - 1 - SHOWN} more differences" if len(found) - 1 > SHOWN else ""
        raise FoolCaffeError(
            f"{options.database} is not what {options.list} says",
            "\n".join(found[: SHOWN + 1]) + rest + "\nremove it and build it again: `make lmdb`",
        )
    print(f"{options.database}: every record is as {options.list} says")
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.validate")
