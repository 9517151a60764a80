"""How figures look: one place for fonts, colours and saving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from caffefiles.files import atomic_path

# Okabe and Ito's palette: told apart by colour-blind readers, and dark enough on white.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#D55E00", "#007A5A", "#B2182B", "#555555"
DPI = 150
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
    with matplotlib.rc_context(_RC):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, atomically; the same figure gives the same bytes."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, facecolor="white", metadata={"Software": None})
