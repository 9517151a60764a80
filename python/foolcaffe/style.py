"""How figures look: one place for fonts, colours and saving."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from caffefiles.files import atomic_path
from foolcaffe.classes import Synset

# Okabe and Ito's palette: told apart by colour-blind readers, and dark enough on white.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#D55E00", "#007A5A", "#B2182B", "#555555"
DPI = 150
FONT = "DejaVu Sans"
"""Comes with matplotlib, so that figures are the same everywhere."""
MORE = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Source Han Sans", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei"),
    *("Droid Sans Fallback", "Hiragino Sans", "PingFang SC", "Microsoft YaHei", "Malgun Gothic", "Yu Gothic"),
)
"""For names in Chinese, Japanese and Korean, where one of these is installed."""
_RC: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar in the name of a class is a dollar
    "svg.hashsalt": "foolcaffe",
}


@contextmanager
def styled() -> Iterator[None]:
    """Figures made inside look alike."""
    with matplotlib.rc_context({**_RC, "font.family": [name for name, _, _ in _fonts()]}):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, atomically; the same figure gives the same bytes."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, facecolor="white", metadata={"Software": None})


@lru_cache(maxsize=1)
def _fonts() -> list[tuple[str, str, frozenset[int]]]:
    """The fonts that are here: name, file, and the characters that they have."""
    there = set(font_manager.get_font_names())
    files = [(name, font_manager.findfont(name)) for name in (FONT, *MORE) if name in there]
    return [(name, file, frozenset(FT2Font(file).get_charmap())) for name, file in files]


def font_for(text: str) -> str:
    """Return the file of a font that has all characters of a text, or an empty string."""
    wanted = {ord(letter) for letter in text}
    return next((file for _, file, letters in _fonts() if wanted <= letters), "")


def printable(text: str) -> str:
    """Return a text for a picture: a dot stands for each character that no font has that is here."""
    known = frozenset().union(*(letters for _, _, letters in _fonts()))
    return "".join(letter if ord(letter) in known else "·" for letter in text)


def drawable(synset: Synset, width: int) -> str:
    """Return a class's name, shortened, for a picture; its id where no font that is here has all of its characters."""
    if not font_for(synset.name):
        return f"class {synset.id}"
    name = synset.name
    return textwrap.shorten(name, width, placeholder="…") if " " in name else name[:width]
