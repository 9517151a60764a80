"""Is a dataset ready for training? LMDBs against their lists, mean, images. ``python -m foolcaffe.validate``."""

from __future__ import annotations

from pathlib import Path

from caffefiles.mean import read_mean
from foolcaffe.classes import read_synsets
from foolcaffe.errors import FoolCaffeError, run_cli
from foolcaffe.images import read_image
from foolcaffe.lists import read_list
from foolcaffe.lmdb import validate
from foolcaffe.lmdb.plan import count_lines
from foolcaffe.options import command_line, shared
from foolcaffe.progress import Progress

SHOWN = 10
"""Differences that are printed one by one; the rest is counted."""


def differences(folder: Path, part: str, size: int, quiet: bool = False) -> list[str]:
    """What ``<folder>/<part>_lmdb`` and the mean have otherwise than the lists say; empty if nothing.

    Args:
        folder: ``build/<dataset>``.
        part: ``train`` or ``val``.
        size: expected height and width in pixels; channels are 3.
        quiet: no progress.

    Raises:
        FoolCaffeError: a list, a database or the mean cannot be read at all.
    """
    classes = len(read_synsets(folder / "synset_words.txt"))
    listing = folder / f"{part}.txt"
    found = validate.validate(folder / f"{part}_lmdb", listing, (size, size), classes, quiet)
    wrong = list(found.wrong)
    if wrong:
        wrong.insert(0, f"{folder}/{part}_lmdb has {found.records} records, {listing} has {count_lines(listing)} lines")
    mean = read_mean(folder / "mean.binaryproto", "`make lmdb` computes one").shape
    if mean != (3, size, size):
        wrong.append(f"{folder}/mean.binaryproto is {' × '.join(map(str, mean))}, not 3 × {size} × {size}")
    return wrong


def bad_images(root: Path, listing: Path, quiet: bool = False) -> list[tuple[str, str]]:
    """(path, reason) of each image of a list that cannot be decoded whole."""
    bad = []
    with Progress(count_lines(listing), "images", "looking for bad images", quiet) as progress:
        for path, _ in read_list(listing):
            progress.advance()
            try:
                read_image(root / path)
            except (FoolCaffeError, OSError) as error:
                bad.append((path, str(error).splitlines()[0]))
    return bad


def main(arguments: list[str]) -> int:
    """Parse, compare, print the difference."""
    parser = command_line("foolcaffe.validate", __doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    quiet = [shared("quiet")]
    dataset = commands.add_parser("dataset", help="LMDBs and mean of build/<dataset> against its lists", parents=quiet)
    dataset.add_argument("folder", type=Path, metavar="DIR")
    dataset.add_argument("--size", type=int, default=64)
    images = commands.add_parser(
        "images", help="print the images of a list that cannot be decoded; exit 1 if any", parents=quiet
    )
    images.add_argument("root", type=Path, metavar="ROOT")
    images.add_argument("list", type=Path, metavar="LIST")
    options = parser.parse_args(arguments)
    if options.command == "images":
        bad = bad_images(options.root, options.list, options.quiet)
        for path, reason in bad:
            print(f"{path}\t{reason}")
        return 1 if bad else 0
    for part in ("train", "val"):
        found = differences(options.folder, part, options.size, options.quiet)
        if found:
            rest = f"\n… and {len(found) - 1 - SHOWN} more differences" if len(found) - 1 > SHOWN else ""
            raise FoolCaffeError(
                f"{options.folder}/{part}_lmdb is not what {options.folder}/{part}.txt says",
                "\n".join(found[: SHOWN + 1]) + rest + "\nremove it and build it again: `make lmdb`",
            )
        print(f"{options.folder}/{part}_lmdb: every record is as {options.folder}/{part}.txt says")
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.validate")
