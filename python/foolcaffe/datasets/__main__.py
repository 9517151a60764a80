"""Bring a dataset into a folder of images: ``python -m foolcaffe.datasets demo --out data/demo``."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable

from caffefiles.files import fsync_folder
from foolcaffe.datasets import demo, tiny_imagenet
from foolcaffe.datasets.download import download
from foolcaffe.errors import FoolCaffeError, run_cli
from foolcaffe.options import command_line


def main(arguments: list[str]) -> int:
    """Parse, call, print the folder."""
    parser = command_line("foolcaffe.datasets", __doc__, "quiet")
    commands = parser.add_subparsers(dest="dataset", required=True, metavar="DATASET")
    one = commands.add_parser("demo", help="crops of the photographs in scikit-image's wheel")
    one.add_argument("--seed", type=int, default=1)
    two = commands.add_parser("tiny-imagenet", help="Tiny ImageNet-200 from a zip, or downloaded")
    two.add_argument("--zip", type=Path, help="the zip, if you have it")
    two.add_argument("--url", default=os.environ.get("TINY_IMAGENET_URL", tiny_imagenet.URL))
    two.add_argument(
        "--checksum",
        default=os.environ.get("TINY_IMAGENET_CHECKSUM", tiny_imagenet.CHECKSUM),
        help="of the download, md5:… or sha256:… (default: the official zip's)",
    )
    for command in (one, two):
        command.add_argument("--out", type=Path, required=True, help="the folder to make")
    options = parser.parse_args(arguments)
    out: Path = options.out
    if out.exists():
        print(f"{out} is there already")
        return 0
    if options.dataset == "demo":
        _whole(out, lambda folder: demo.build(folder, options.seed, options.quiet))
    else:
        archive = options.zip
        if archive is None:
            archive = out.parent / "tiny-imagenet-200.zip"
            if not archive.exists():
                download(options.url, archive, options.checksum, options.quiet)
        _whole(out, lambda folder: tiny_imagenet.unpack(archive, folder, options.quiet))
    print(out)
    return 0


def _whole(out: Path, make: Callable[[Path], None]) -> None:
    """Make the folder aside and rename it: it is there whole, or not at all."""
    aside = out.with_name(f".{out.name}.partial")
    if aside.is_symlink():
        raise FoolCaffeError(f"{aside} is a link: remove it")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        make(aside)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    aside.replace(out)
    fsync_folder(out.parent)


if __name__ == "__main__":
    run_cli(main, "foolcaffe.datasets")
