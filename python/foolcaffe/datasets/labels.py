"""Which class an image is of, where its folder does not say: Caffe's, Kaggle's, Tiny ImageNet's files, the devkit."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from foolcaffe.datasets import devkit
from foolcaffe.errors import FoolCaffeError

Label = Union[int, str]
"""A class id, or a wnid."""


def rows(path: Path) -> Iterator[tuple[int, str, Label]]:
    """The lines of a text file of labels: (line number, file name, class id or wnid).

    Raises:
        FoolCaffeError: no such file, no text, or a line without a label.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise FoolCaffeError(f"no labels at {path}") from None
    except UnicodeDecodeError as error:
        raise FoolCaffeError(
            f"{path} is not UTF-8 text, as every known file of labels is: byte {error.start}"
        ) from None
    solution = bool(lines) and lines[0].startswith("ImageId,")
    for number, line in enumerate(lines, 1):
        if not line.strip() or (solution and number == 1):
            continue
        name, label = _solution(line) if solution else _line(line)
        if not name:
            raise FoolCaffeError(
                f"{path}:{number}: no label in {line[:80]!r}",
                "expected '<file> <id>', '<file><tab><wnid>…' or LOC_val_solution.csv's '<ImageId>,<wnid> …'",
            )
        yield number, name, int(label) if re.fullmatch("[0-9]+", label) else label


def read(path: Path) -> dict[str, Label]:
    """{file name without suffix: label} from ``val.txt`` (``<file> <id>``), ``LOC_val_solution.csv``,
    ``val_annotations.txt``, or the devkit.

    Raises:
        FoolCaffeError: none of these, with the line; a name with two labels.
    """
    if path.is_dir() or path.name.endswith((".tar.gz", ".tgz", ".tar")):
        classes, truth = devkit.read(path)
        return {f"ILSVRC2012_val_{number:08d}": classes[label][0] for number, label in enumerate(truth, 1)}
    found: dict[str, Label] = {}
    for number, name, label in rows(path):
        stem = stem_of(name)
        if found.setdefault(stem, label) != label:
            raise FoolCaffeError(f"{path}:{number}: {name} has label {label} here, {found[stem]} before")
    if not found:
        raise FoolCaffeError(f"{path} has no labels")
    return found


def stem_of(name: str) -> str:
    """A file's name without folders and suffix."""
    return re.sub(r"\.[A-Za-z]{3,4}$", "", name.rpartition("/")[2])


def _solution(line: str) -> tuple[str, str]:
    row = next(csv.reader([line]), [])
    wnids = set(re.findall(r"n\d{8}", row[1])) if len(row) == 2 else set()
    return (row[0], wnids.pop()) if len(wnids) == 1 else ("", "")


def _line(line: str) -> tuple[str, str]:
    if "\t" in line:
        name, wnid = line.split("\t")[:2]
        return (name, wnid) if wnid else ("", "")
    name, _, label = line.strip().rpartition(" ")
    return (name, label) if re.fullmatch(r"[0-9]+|n\d{8}", label) else ("", "")
