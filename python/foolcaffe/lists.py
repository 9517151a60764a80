"""Image lists for ``convert_imageset``: ``train.txt``, ``val.txt``, ``synset_words.txt``.

A line of a list is ``<path below the root> <class id>``; class ids are positions in the sorted list of wnids, as in
ILSVRC. The training list is shuffled with a seed, for ``convert_imageset --shuffle`` takes none.
"""

from __future__ import annotations

import os
import random
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffefiles import listfile
from caffefiles.files import write_text
from foolcaffe.datasets import labels, names
from foolcaffe.errors import FoolCaffeError, run_cli
from foolcaffe.options import command_line

SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Lists:
    """``train`` and ``val`` are (path below the root, class id); ``synsets`` are (wnid, names) in order of ids."""

    train: list[tuple[str, int]]
    val: list[tuple[str, int]]
    synsets: list[tuple[str, str]]


def scan(root: Path, seed: int = 1, split: float = 0) -> Lists:
    """List the images of a dataset in ILSVRC's layout, or in Tiny ImageNet's, or of a folder of one's own.

    Training images: ``train/<wnid>/…`` at any depth. Validation images: ``val/<wnid>/…``; or ``val/*`` with
    ``val.txt`` (Caffe's: ``<file> <id>``) beside; or ``val/images/*`` with ``val/val_annotations.txt``
    (Tiny ImageNet's).
    Names: ``synset_words.txt``, ``words.txt`` or another of :data:`names.OWN` in the root, else the folders'; a wnid is
    a folder's name with ``_`` for spaces.

    Args:
        root: the dataset's folder.
        seed: of the training list's order, and of the split.
        split: if more than 0, the root may hold the classes' folders itself, and where there is no ``val/`` this part
            of each class's images is taken for validation.

    Raises:
        FoolCaffeError: no such folder, no classes, an empty class, two classes of one wnid, a path that
            ``convert_imageset`` cannot take.
    """
    if not root.is_dir():
        raise FoolCaffeError(f"no dataset folder at {root}")
    parts = (root / "train").is_dir() or not split
    folder = root / "train" if parts else root
    found = [p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")] if folder.is_dir() else []
    folders = sorted(found, key=wnid_of)
    if not folders:
        raise FoolCaffeError(f"no classes in {folder}", f"expected: {LAYOUT if split else ILSVRC}")
    for one, other in zip(folders, folders[1:]):
        if wnid_of(one) == wnid_of(other):
            raise FoolCaffeError(
                f"{folder} has {one!r} and {other!r}, which differ in spaces only", "rename one of them"
            )
    ids = {name: i for i, name in enumerate(folders)}
    train = [(path, ids[name]) for name in folders for path in _of_class(root, folder, name)]
    empty = sorted(set(range(len(ids))) - {label for _, label in train})
    if empty:
        more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
        raise FoolCaffeError(f"{folder}/{folders[empty[0]]} holds no image{more}")
    if split and not (parts and (root / "val").is_dir()):
        train, val = _split(train, folders, seed, split)
    else:
        val = _validation(root, ids)
    if not val:
        raise FoolCaffeError(f"no validation images in {root}/val")
    random.Random(seed).shuffle(train)
    file = names.of(root)
    words = names.read(file) if file else {}
    return Lists(train, val, [(wnid_of(name), words.get(name, name)) for name in folders])


ILSVRC = "train/<wnid>/<images>, val/<wnid>/<images>"
LAYOUT = f"<class>/<images>, or {ILSVRC}"


def wnid_of(name: str) -> str:
    """The wnid of a class's folder: its name with ``_`` for spaces, for a wnid is one word in ``synset_words.txt``."""
    return "_".join(name.split())


def _split(
    images: list[tuple[str, int]], folders: list[str], seed: int, part: float
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Take a part of each class, at least one image; which ones depends on the class's images and the seed alone."""
    kept, taken = [], []
    for index, name in enumerate(folders):
        own = [image for image in images if image[1] == index]
        if len(own) < 2:
            raise FoolCaffeError(
                f"the class {name!r} has one image, and one is needed for validation",
                "add images, or make a val/ folder",
            )
        chosen = set(random.Random(f"{seed} {name}").sample(own, max(1, round(part * len(own)))))
        kept += [image for image in own if image not in chosen]
        taken += [image for image in own if image in chosen]
    return kept, taken


def write(lists: Lists, out: Path, seed: int) -> None:
    """Write ``train.txt``, ``val.txt`` and, last, ``synset_words.txt``; say how many images and classes they name."""
    for name in ("val", "train"):
        write_text(out / f"{name}.txt", "".join(f"{path} {label}\n" for path, label in getattr(lists, name)))
    write_text(out / "synset_words.txt", "".join(f"{wnid} {words}\n" for wnid, words in lists.synsets))
    counts = f"{len(lists.synsets)} classes, {len(lists.train)} training and {len(lists.val)} validation images"
    print(f"{counts}; seed {seed}")


def read_list(path: Path, classes: int | None = None) -> Iterator[tuple[str, int]]:
    """Read a list strictly, a line at a time: what ``convert_imageset`` would silently give label 0 is an error here.

    Args:
        path: a text file, a line an image: ``<path> <class id>``; paths may hold spaces.
        classes: if given, ids must be below it.

    Raises:
        FoolCaffeError: if a line is empty, ends with a space, has no label or an id out of range, or repeats a path; it
            names the line. A repeated path is found after the last line was yielded.
    """
    hashes = array("q")
    for line in listfile.read(path, classes):
        if line.reason:
            raise FoolCaffeError(
                f"{path}:{line.number}: {line.reason}", "expected: <path> <class id>, one space between"
            )
        hashes.append(hash(line.path))
        yield os.fsdecode(line.path), line.label
    if not hashes:
        raise FoolCaffeError(f"{path} lists no image", "expected a line an image: <path> <class id>")
    for number, reason in listfile.repeated(path, np.frombuffer(hashes, np.int64)).items():
        raise FoolCaffeError(f"{path}:{number}: {reason}", "a path may be listed once: remove the line")


def images_in(folder: str | Path) -> Iterator[str]:
    """The paths of the image files below a folder, relative to it, in no particular order.

    Raises:
        FoolCaffeError: a name has a line break, which no list can carry.
    """
    for inner, _, files in os.walk(folder):
        for name in files:
            path = f"{inner}/{name}"
            if name.startswith("."):  # macOS writes "._photo.jpg" beside a photo
                continue
            if is_image(name) and os.path.isfile(path):  # noqa: PTH113 - a million Paths take seconds
                yield listable(os.path.relpath(path, folder))


def is_image(name: str) -> bool:
    """Whether a file's name ends as those of images do."""
    return Path(name).suffix.lower() in SUFFIXES


def listable(path: str) -> str:
    """Return a path that a list can carry.

    Raises:
        FoolCaffeError: if it has a line break.
    """
    if re.search(r"[\r\n]", path):
        raise FoolCaffeError(f"the file name {path!r} has a line break: no list can carry it", "rename the file")
    return path


def _of_class(root: Path, folder: Path, name: str) -> list[str]:
    """The images of a class's folder below the root, in the order of their paths' parts."""
    inner = (folder / listable(name)).relative_to(root).as_posix()
    return [f"{inner}/{path}" for path in sorted(images_in(folder / name), key=lambda path: path.split("/"))]


def _validation(root: Path, ids: dict[str, int]) -> list[tuple[str, int]]:
    folder = root / "val"
    if not folder.is_dir():
        raise FoolCaffeError(f"no validation images: {folder} is not there")
    listing, inner = folder / "val_annotations.txt", "val/images"
    if not listing.exists():
        classes = sorted(p.name for p in folder.iterdir() if p.is_dir())
        if strange := [name for name in classes if name not in ids]:
            raise FoolCaffeError(f"{folder}/{strange[0]} is a class that is not in {root}/train")
        if classes:
            return [
                (path, ids[name]) for name in sorted(classes, key=wnid_of) for path in _of_class(root, folder, name)
            ]
        listing, inner = root / "val.txt", "val"
    if not listing.exists():
        raise FoolCaffeError(
            f"{folder} is flat and {listing} is not there, so the labels are unknown",
            "put Caffe's val.txt beside it, or sort the images into val/<wnid>/",
        )
    pairs = []
    for number, name, label in labels.rows(listing):
        path = listable(f"{inner}/{name}")
        if not (root / path).is_file():
            raise FoolCaffeError(f"{listing}:{number} names {path}, which is not there")
        index = ids.get(label, -1) if isinstance(label, str) else label
        if not 0 <= index < len(ids):
            raise FoolCaffeError(
                f"{listing}:{number}: {name} is of class {label}, which is not in train/",
                f"expected the name of a folder in train/, or an id of 0..{len(ids) - 1}",
            )
        pairs.append((path, index))
    return pairs


def main(arguments: list[str]) -> int:
    """Parse, scan, write."""
    parser = command_line("foolcaffe.lists", __doc__)
    parser.add_argument("root", nargs="?", type=Path, metavar="ROOT", help="the dataset's folder")
    parser.add_argument(
        "out", nargs="?", type=Path, metavar="OUT", help="where train.txt, val.txt, synset_words.txt go"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the training list's order (default: %(default)s)")
    parser.add_argument("--check", type=Path, metavar="LIST", help="only check a list's lines")
    options = parser.parse_args(arguments)
    if options.check is not None:
        for _ in read_list(options.check):
            pass
        return 0
    if options.root is None or options.out is None:
        parser.error("ROOT and OUT are needed")
    write(scan(options.root, options.seed), options.out, options.seed)
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.lists")
