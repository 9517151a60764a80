"""Files of image windows, and where a window lands in its crop. Source: ``window_data_layer.cpp``."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from caffefiles.errors import CaffeError, os_error_message

_INT = r"[+-]?\d+"
_FLOAT = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_WINDOW = re.compile(rf"{_INT} {_FLOAT}(?: {_INT}){{4}}", re.ASCII)
_WINDOWS = re.compile(rf"(?:{_WINDOW.pattern}(?: |$))*", re.ASCII)
_FIELDS = 6
_EXPECTED = "a window is `class_index overlap x1 y1 x2 y2`"


class Windows(NamedTuple):
    """Windows of images: N rows each."""

    boxes: NDArray[np.float32]
    """x1, y1, x2, y2, ends included, in pixels; float32 as Caffe keeps them."""
    labels: NDArray[np.float32]
    images: NDArray[np.int64]
    """Which image, counted from 0 in the file's order."""
    lines: NDArray[np.int64]
    """Line numbers in the file, for errors."""


class WindowFile(NamedTuple):
    """What a window file holds."""

    paths: list[str]
    channels: int
    """The number of channels of the last image, as the file says."""
    foreground: Windows
    background: Windows


class _Words:
    """A file's words, however they are spread over lines, with their line numbers."""

    def __init__(self, path: str) -> None:
        self.path, self.line = path, 0
        try:
            text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise CaffeError(os_error_message(error), "window_data_param.source is the window file") from None
        self._rows = enumerate(text.split("\n"), 1)
        self._words: list[str] = []
        self._lines: list[int] = []

    def _fill(self, count: int) -> bool:
        while len(self._words) < count:
            number, row = next(self._rows, (0, ""))
            if not number:
                return False
            words = row.split()
            self._words += words
            self._lines += [number] * len(words)
        return True

    def more(self) -> bool:
        """Is there another word?"""
        return self._fill(1)

    def take(self, count: int, what: str) -> tuple[list[str], list[int]]:
        """The next ``count`` words and the line of each."""
        if not self._fill(count):
            raise CaffeError(
                f"{self.path}: the file ends where {what} was expected", "is it cut short, or num_windows wrong?"
            )
        words, lines = self._words[:count], self._lines[:count]
        del self._words[:count], self._lines[:count]
        self.line = lines[-1] if lines else self.line
        return words, lines

    def word(self, what: str) -> str:
        """The next word."""
        return self.take(1, what)[0][0]

    def integer(self, what: str) -> int:
        """The next word, a 32-bit integer."""
        word = self.word(what)
        if not re.fullmatch(_INT, word, re.ASCII) or not -(2**31) <= int(word) < 2**31:
            raise self.fail(f"{word!r} is no {what}", "an integer was expected")
        return int(word)

    def fail(self, message: str, hint: str, line: int = 0) -> CaffeError:
        """An error at a line, the last one read from if none is given."""
        return CaffeError(f"{self.path}:{line or self.line}: {message}", hint)


def read_window_file(path: str, fg_threshold: float, bg_threshold: float) -> WindowFile:
    """The windows of a file: for each image ``# index``, path, channels, height, width, number of windows, windows.

    A window is foreground where its overlap is at least ``fg_threshold``, else background (its label is 0 then) where
    it is below ``bg_threshold``, else left out.

    Raises:
        CaffeError: the file cannot be read or is malformed; names the line.
    """
    words = _Words(path)
    if not words.more():
        raise CaffeError(f"the window file {path!r} is empty")
    paths: list[str] = []
    channels = 0
    parts: list[tuple[NDArray[np.float64], NDArray[np.int64], int, int]] = []
    while words.more():
        mark = words.word("#")
        if mark != "#":
            raise words.fail(
                f"{mark!r} where an image's `# index` was expected", "is num_windows of the image before right?"
            )
        index = words.integer("image index")
        at = words.line
        paths.append(words.word("image's path"))
        channels, _, _ = (words.integer(what) for what in ("number of channels", "height", "width"))
        count = max(0, words.integer("number of windows"))
        parts.append((*_read_windows(words, count), index, at))
    for values, _, index, at in parts:
        if len(values) and not 0 <= index < len(paths):
            raise words.fail(f"image index {index}, but the file has {len(paths)} images", "they count from 0", at)
    rows = np.concatenate([values for values, *_ in parts]).astype(np.float32)
    lines = np.concatenate([numbers for _, numbers, *_ in parts])
    images = np.repeat([index for *_, index, _ in parts], [len(values) for values, *_ in parts])
    foreground = rows[:, 1] >= np.float32(fg_threshold)
    background = ~foreground & (rows[:, 1] < np.float32(bg_threshold))
    unlabelled = np.flatnonzero(foreground & (rows[:, 0] <= 0))
    if len(unlabelled):
        label, overlap = rows[unlabelled[0], :2]
        raise words.fail(
            f"a window of class {label:.0f} overlaps by {overlap:g}, which makes it foreground (fg_threshold "
            f"{fg_threshold:g})",
            "classes of foreground windows count from 1",
            int(lines[unlabelled[0]]),
        )
    rows[background, 0] = 0
    chosen = [Windows(rows[w, 2:], rows[w, 0], images[w], lines[w]) for w in (foreground, background)]
    return WindowFile(paths, channels, *chosen)


def _read_windows(words: _Words, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """``count`` windows, count × 6, and the line of each."""
    taken, lines = words.take(count * _FIELDS, f"one of {count} windows")
    if not _WINDOWS.fullmatch(" ".join(taken)):
        for i in range(0, len(taken), _FIELDS):
            window = " ".join(taken[i : i + _FIELDS])
            if not _WINDOW.fullmatch(window):
                raise words.fail(f"{window!r} is no window", _EXPECTED, lines[i])
    values = np.array(taken, dtype=object).astype(np.float64).reshape(count, _FIELDS)
    numbers = np.array(lines[::_FIELDS], np.int64)
    large = np.flatnonzero((np.abs(values) >= 2**31).any(axis=1))
    if len(large):
        raise words.fail("a number exceeds 32 bits", _EXPECTED, int(numbers[large[0]]))
    return values, numbers


class Place(NamedTuple):
    """What is cut out of an image, to which size it is warped, and where that is put in the crop."""

    x1: int
    y1: int
    x2: int
    y2: int
    """The corners, both included."""
    width: int
    height: int
    """After warping."""
    left: int
    top: int
    """The place in the crop, the rest of which is 0."""


def place(box: Any, image: tuple[int, int], crop: int, context_pad: int, square: bool, mirror: bool) -> Place | None:
    """Return where a window lands; None if it lies outside the image, or nothing of it is left.

    Args:
        box: x1, y1, x2, y2, ends included.
        image: height and width.
        crop: pixels of the crop's side.
        context_pad: pixels of context around the window in the crop; 2 · context_pad < crop.
        square: extend the window to a square, else squash it.
        mirror: will it be mirrored? Then the padding is.
    """
    x1, y1, x2, y2 = (int(value) for value in box)
    height, width = image
    if not context_pad and not square:
        inside = 0 <= x1 <= x2 < width and 0 <= y1 <= y2 < height
        return Place(x1, y1, x2, y2, crop, crop, 0, 0) if inside else None
    scale = np.float32(crop) / np.float32(crop - 2 * context_pad)
    halves = [np.float32((end - start + 1) / 2) for start, end in ((x1, x2), (y1, y2))]
    centers = [np.float32(start) + half for start, half in zip((x1, y1), halves)]
    if square:
        halves = [max(halves)] * 2
    x, y = (
        _fit(_round(center - half * scale), _round(center + half * scale), extent, crop)
        for center, half, extent in zip(centers, halves, (width, height))
    )
    if x is None or y is None:
        return None
    left, top = x.after if mirror else x.before, y.before
    columns, rows = min(x.size, crop - left), min(y.size, crop - top)
    return Place(x.start, y.start, x.end, y.end, columns, rows, left, top) if columns > 0 and rows > 0 else None


class _Span(NamedTuple):
    start: int
    end: int
    size: int
    before: int
    after: int


def _fit(start: int, end: int, extent: int, crop: int) -> _Span | None:
    """Along one axis: the part inside the image, and, warped, its size and the paddings."""
    before, after = max(0, -start), max(0, end - extent + 1)
    scale = np.float32(crop) / np.float32(max(1, end - start + 1))
    start, end = start + before, end - after
    if not start <= end or start >= extent:
        return None
    size, before, after = (_round(np.float32(length) * scale) for length in (end - start + 1, before, after))
    return _Span(start, end, size, before, after)


def _round(value: Any) -> int:
    """The nearest integer, halves away from zero, as C rounds."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))
