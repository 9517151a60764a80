"""Lists of datasets that are not plain folders: ILSVRC's tars, zips, Kaggle's layout, batches of downsampled ImageNet.

``python -m foolcaffe.lmdb list SOURCE LIST`` writes lines '<path below SOURCE> <class id>', which
``build SOURCE LIST DB`` takes.
Class ids are positions in the sorted list of wnids, as in ILSVRC.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from caffefiles.files import write_text
from foolcaffe.archives import archives, batches
from foolcaffe.archives.locate import split
from foolcaffe.archives.sources import Archive, Fetcher
from foolcaffe.datasets import labels, names
from foolcaffe.datasets.labels import Label
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lists import SUFFIXES, images_in, is_image, listable


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The arguments of ``list``."""
    command.add_argument("source", metavar="SOURCE", help="folder, archive, or a folder inside an archive")
    command.add_argument("list", type=Path, metavar="LIST", help="the list to write")
    command.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="where folders do not say the class: Caffe's val.txt, "
        "LOC_val_solution.csv, val_annotations.txt, the devkit; for batches map_clsloc.txt",
    )
    command.add_argument(
        "--synsets", type=Path, metavar="FILE", help="all classes, where SOURCE has only some: a synset_words.txt"
    )
    command.add_argument(
        "--names", type=Path, metavar="FILE", help="the classes' names (default: the dataset's own file, else WordNet)"
    )
    command.add_argument("--words", type=Path, metavar="OUT", help="write synset_words.txt here")


def run(options: argparse.Namespace) -> int:
    """Write what was asked for."""
    known = list(names.read(options.synsets)) if options.synsets else None
    rows, wnids = catalog(options.source, options.labels, known)
    write_text(options.list, "".join(f"{path} {label}\n" for path, label in rows))
    if options.words:
        if not wnids:
            raise FoolCaffeError("the labels are numbers: what classes they are of is not known", "give --synsets")
        write_text(options.words, "".join(f"{wnid} {name}\n" for wnid, name in _named(wnids, options)))
    print(f"{len(rows)} images" + (f" of {len(wnids)} classes" if wnids else ""))
    return 0


def catalog(
    source: str, label_file: Path | None = None, classes: list[str] | None = None
) -> tuple[list[tuple[str, int]], list[str]]:
    """List a dataset.

    Args:
        source: folder, archive, or a folder inside an archive.
        label_file: what says the class where folders do not.
        classes: the wnids; else those that are found.

    Returns:
        (path below the source, class id), sorted by path; and the wnids in order of ids, empty if unknown.

    Raises:
        FoolCaffeError: no images; an image without a class; an unknown class.
    """
    found = _batches(source)
    if found:
        return _of_batches(source, found, label_file)
    given = labels.read(label_file) if label_file else None
    labelled: list[tuple[str, Label]] = []
    for path in sorted(_images(source)):
        label = _by_folder(path) if given is None else given.get(labels.stem_of(path))
        if label is None:
            raise FoolCaffeError(
                f"{path} in {source} has no class",
                f"{label_file} does not name it" if label_file else "it lies in no class's folder: give --labels",
            )
        labelled.append((path, label))
    if not labelled:
        raise FoolCaffeError(f"no images in {source}", "expected files named " + ", ".join(sorted(SUFFIXES)))
    wnids = classes or sorted({label for _, label in labelled if isinstance(label, str)})
    ids: dict[Label, int] = {wnid: i for i, wnid in enumerate(sorted(wnids))}
    rows = []
    for path, label in labelled:
        number = label if isinstance(label, int) else ids.get(label)
        if number is None or (wnids and number >= len(wnids)):
            raise FoolCaffeError(f"{path} in {source} is of class {label}, which is not among the {len(wnids)} known")
        rows.append((path, number))
    return rows, sorted(wnids)


def _named(wnids: list[str], options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    file = options.names or options.synsets or names.beside(Path(options.source))
    own = _inside_archive(options.source) if file is None else None
    file = file or names.wordnet()
    if own is not None:
        where, data = own
        words = names.parse(data, where)
    elif file is not None:
        where, words = str(file), names.read(file)
    else:
        raise FoolCaffeError(
            "the classes' names are not known",
            "give --names (words.txt, the devkit, …), or install WordNet (Debian: wordnet-base)",
        )
    print(f"names from {where}", file=sys.stderr)
    for wnid in wnids:
        if wnid not in words:
            raise FoolCaffeError(f"{where} has no name for {wnid}", "give another file with --names")
        yield wnid, words[wnid]


def _inside_archive(source: str) -> tuple[str, bytes] | None:
    """A dataset's own file of class names inside the archive that the source lies in."""
    if Path(source).is_dir():
        return None
    archive, _ = _inside(source)
    with tempfile.TemporaryDirectory() as scratch:
        found = {
            os.fsdecode(name): at
            for name, at in archives.members(archive, archives.kind_of(archive), 0, Path(scratch))
            if name.rpartition(b"/")[2].decode("utf-8", "replace") in names.OWN
        }
        if not found:
            return None
        name = min(found, key=lambda n: (n.count("/"), names.OWN.index(n.rpartition("/")[2])))
        data = Fetcher(b"", [Archive.of(archive)], Path(scratch)).fetch(found[name], os.fsencode(name))
    return f"{archive}/{name}", bytes(data)


def _by_folder(path: str) -> str | None:
    folders = path.split("/")[:-1]
    return next((f for f in folders if re.fullmatch(r"n\d{8}", f)), folders[-1] if folders else None)


def _images(source: str) -> Iterator[str]:
    if Path(source).is_dir():
        yield from images_in(source)
        return
    archive, inner = _inside(source)
    with tempfile.TemporaryDirectory() as scratch:
        for raw, _ in archives.members(archive, archives.kind_of(archive), 0, Path(scratch)):
            name = os.fsdecode(raw)
            if name.startswith(inner) and is_image(name):
                yield listable(name[len(inner) :])


def _inside(source: str) -> tuple[str, str]:
    found = split(os.fsencode(source.rstrip("/")))
    if found is None:
        raise FoolCaffeError(f"no folder or archive at {source}")
    return os.fsdecode(found[0]), os.fsdecode(found[1])


def _batches(source: str) -> list[str]:
    """The batches of a folder, by name in the order of their numbers; ``""`` for a source that is one itself."""
    if Path(source).is_file():
        return [""] if archives.kind_of(source) == "batch" else []
    if not Path(source).is_dir():
        return []
    named = re.compile(r".*(_data|data_batch_\d+)(\.npz|\.pickle|\.pkl)?")
    found = [
        p.name
        for p in Path(source).iterdir()
        if named.fullmatch(p.name) and p.is_file() and archives.kind_of(str(p)) == "batch"
    ]
    return sorted(found, key=lambda n: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", n)])


def _of_batches(source: str, found: list[str], label_file: Path | None) -> tuple[list[tuple[str, int]], list[str]]:
    if label_file is None:
        raise FoolCaffeError(
            "labels in batches are numbers of the devkit, not positions in the sorted list of wnids",
            "give the devkit's map_clsloc.txt, which comes with the downsampled ImageNet, as --labels",
        )
    wnids = {}
    for number, line in enumerate(label_file.read_text(encoding="utf-8").splitlines(), 1):
        row = re.fullmatch(r"(n\d{8}) (\d+) \S+\s*", line)
        if row is None:
            raise FoolCaffeError(f"{label_file}:{number}: expected '<wnid> <number> <name>'")
        wnids[int(row[2])] = row[1]
    ids = {wnid: i for i, wnid in enumerate(sorted(wnids.values()))}
    rows = []
    for name in found:
        for index, label in enumerate(batches.labels(f"{source}/{name}" if name else source)):
            if label not in wnids:
                raise FoolCaffeError(f"{name or source}: image {index} has label {label}, not one of {label_file}")
            rows.append((f"{name}/{index:07d}" if name else f"{index:07d}", ids[wnids[label]]))
    return rows, sorted(wnids.values())
