"""Lists as ``convert_imageset`` reads them, but nothing is taken for label 0 in silence.

Caffe splits a line at its last space, takes the rest with ``atoi`` and goes on whatever it found. The same lines are
read here to the same (path, label); the others are rejected, each with its reason, and keep their line's number.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caffefiles.errors import CaffeError

MAX_LABEL = (1 << 31) - 1
"""A label is an int32 in Datum."""
MAX_LINES = 100_000_000
"""Keys begin with eight digits: with more, the order of the keys would not be that of the lines."""
MAX_KEY = 511
"""LMDB's limit for a key, which is eight digits, an underscore and the path."""


_PLAIN = re.compile(rb"([^\0\n]*[^\0\n\s]) ([0-9]{1,9})\r?")
"""Nearly every line; what does not match is looked at closely."""


class Line(NamedTuple):
    """A line: its number (from 1), path, label; ``reason`` is empty, or why the line cannot be used."""

    number: int
    path: bytes
    label: int
    reason: str


def key(position: int, path: bytes) -> bytes:
    """The record's key: the position (from 0) in the order of storing, and the path as the list gives it."""
    return b"%08d_%s" % (position, path)


def parse(number: int, text: bytes, classes: int | None = None) -> Line:
    """Read one line, without its line feed. A carriage return at the end is dropped: ``atoi`` does not see it either.

    Args:
        number: the line's number, from 1.
        text: the line's bytes.
        classes: if given, labels must be below it.
    """
    limit = MAX_LABEL + 1 if classes is None else classes
    plain = _PLAIN.fullmatch(text)
    if plain is not None and len(plain[1]) <= MAX_KEY - 9 and int(plain[2]) < limit:
        return Line(number, plain[1], int(plain[2]), "")
    text = text[:-1] if text.endswith(b"\r") else text
    if not text.strip():
        return Line(number, b"", 0, "the line is blank")
    path, space, label = text.rpartition(b" ")

    def rejected(reason: str, known: bytes = path) -> Line:
        return Line(number, known, 0, reason)

    if not space:
        return rejected("no space between path and label", text)
    if not label:
        return rejected("a space after the label: convert_imageset would store it with label 0", path.rstrip(b" "))
    if re.fullmatch(rb"[+-]?[0-9]+", label) is None:
        return rejected(f"the label {label[:40].decode('utf-8', 'backslashreplace')!r} is not a number")
    if len(label) > 12 or not 0 <= int(label) < limit:
        return rejected(f"the label {label.decode()[:24]} is out of range, expected 0..{limit - 1}")
    if not path:
        return rejected("no path before the label")
    if b"\0" in path:
        return rejected("a zero byte in the path")
    if len(key(0, path)) > MAX_KEY:
        return rejected(f"the path has {len(path)} bytes, an LMDB key has room for {MAX_KEY - 9}")
    return Line(number, path, int(label), "")


def read(listing: Path, classes: int | None = None) -> Iterator[Line]:
    """All lines of a list, one at a time.

    Raises:
        CaffeError: no such list, or more lines than keys can number.
    """
    try:
        file = listing.open("rb")
    except FileNotFoundError:
        raise CaffeError(f"no list at {listing}", "a list has a line an image: <path below ROOT> <class id>") from None
    with file:
        for number, text in enumerate(file, 1):
            if number > MAX_LINES:
                raise CaffeError(
                    f"{listing} has more than {MAX_LINES} lines", "keys carry eight digits: split the list"
                )
            yield parse(number, text[:-1] if text.endswith(b"\n") else text, classes)


def starts(listing: Path) -> NDArray[np.uint64]:
    """Return where each line begins, in bytes."""
    found, at = array("Q"), 0
    with listing.open("rb") as file:
        for text in file:
            found.append(at)
            at += len(text)
    return np.frombuffer(found, np.uint64)


def show(path: bytes) -> str:
    """A path for messages and reports: UTF-8, anything else escaped; tabs and line breaks escaped."""
    text = path.decode("utf-8", "backslashreplace")
    text = text.replace("\ufeff", "\\ufeff")  # a byte order mark, that an editor has put before the first path
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def repeated(listing: Path, hashes: NDArray[np.int64]) -> dict[int, str]:
    """Find the lines whose path came before, in a second reading of the list that looks at equal hashes only.

    Args:
        listing: the list.
        hashes: ``hash(path)`` of each line; 0 for a line that does not count.

    Returns:
        {line number: reason}
    """
    ordered = np.sort(hashes)
    suspects = set(ordered[1:][(ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)].tolist())
    first: dict[bytes, Line] = {}
    found = {}
    for line in read(listing) if suspects else ():
        if not line.reason and int(hashes[line.number - 1]) in suspects:
            earlier = first.setdefault(line.path, line)
            if earlier is not line:
                other = "" if earlier.label == line.label else f" with label {earlier.label}, here {line.label}"
                found[line.number] = f"the same path as in line {earlier.number}{other}"
    return found
