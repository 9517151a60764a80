"""The post's figure: start, plus a fraction of a template, equals a fooling image; each with its best classes."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from foolcaffe.attacks.base import Result
from foolcaffe.classes import Synsets
from foolcaffe.images import BgrPixels, Rgb8
from foolcaffe.style import BLUE, GREY, ORANGE, drawable, printable, save, styled

ROWS = 12
"""Rows of a figure at most; more images are drawn on a contact sheet."""
TEMPLATE_PERCENTILE = 99.5
"""The weight of this percentile of |weight| is drawn at full contrast; a few outliers would else grey out the rest."""


def template_image(weights: npt.NDArray[np.float32], scale: float | None = None) -> Rgb8:
    """A weight row as a picture: 127.5 is zero, full contrast is ``scale``.

    Args:
        weights: channels × height × width, BGR.
        scale: the weight drawn as 255; default: :data:`TEMPLATE_PERCENTILE` of this row's absolute weights. One
            scale for many rows makes them comparable.
    """
    if scale is None:
        scale = float(np.percentile(np.abs(weights), TEMPLATE_PERCENTILE))
    return BgrPixels((127.5 + 127.5 * weights / (scale or 1.0)).astype(np.float32)).to_rgb8()


def top(probabilities: npt.NDArray[np.float32], synsets: Synsets, count: int = 3) -> list[tuple[int, str, float]]:
    """The best classes: (id, name as it can be drawn, probability), best first."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [(int(i), drawable(synsets[int(i)], 19), float(probabilities[i])) for i in order]


def percent(probability: float) -> str:
    """A probability in percent; what is nearly sure or nearly impossible does not round to 100 or 0."""
    if probability >= 0.9995:
        return ">99.9 %" if probability < 1 else "100 %"
    if 0 < probability < 0.0005:
        return "<0.1 %"
    return f"{100 * probability:.1f} %"


@dataclass(frozen=True)
class Cell:
    """A picture of a contact sheet, with what is said below it; ``starts`` marks one that others were made from."""

    image: Rgb8
    caption: str
    starts: bool = False


def contact_sheet(path: Path, cells: list[Cell], title: str) -> None:
    """Write a sheet of small pictures, in their order: each start, then what it was fooled into.

    Args:
        path: the PNG.
        cells: the pictures.
        title: above.
    """
    columns = min(len(cells), max(4, math.ceil(math.sqrt(1.5 * len(cells)))))
    if sum(cell.starts for cell in cells) == len(cells) / 2:  # pairs are not torn apart
        columns += columns % 2
    rows = math.ceil(len(cells) / columns)
    side, label, head, gap = 0.9, 0.24, 0.35, 0.06  # inches
    width, height = columns * (side + gap) + gap, rows * (side + label) + head
    with styled():
        figure = Figure(figsize=(width, height))
        for index, cell in enumerate(cells):
            line, column = divmod(index, columns)
            left, low = gap + column * (side + gap), height - head - line * (side + label) - side
            axes = figure.add_axes((left / width, low / height, side / width, side / height))
            axes.imshow(cell.image.array, interpolation="nearest")
            axes.axis("off")
            caption = printable(cell.caption)
            caption = textwrap.shorten(caption, 24, placeholder="…") if " " in caption else caption[:24]
            place = (left + side / 2) / width, (low - 0.03) / height
            colour = ORANGE if cell.starts else "black"
            figure.text(*place, caption, fontsize=6, ha="center", va="top", color=colour)
        lines = "\n".join(textwrap.wrap(printable(title), int(width * 15)))
        figure.text(gap / width, 1 - 0.06 / height, lines, fontsize=7, color=GREY, va="top")
        save(figure, path)


def fooling_figure(path: Path, rows: list[FoolingRow], title: str) -> None:
    """Write the post's figure, a row for each fooling image."""
    row_height, head, foot = 3.55, 0.75, 1.05  # inches: a row; above its pictures; below them, for the classes
    height = row_height * len(rows) + 0.25
    with styled():
        figure = Figure(figsize=(8.4, height))
        grid = figure.add_gridspec(
            len(rows),
            5,
            width_ratios=[1, 0.34, 1, 0.14, 1],
            wspace=0.02,
            left=0.015,
            right=0.985,
            top=1 - head / height,
            bottom=foot / height,
            hspace=(head + foot - 0.2) / 2.2,
        )
        for number, row in enumerate(rows):
            row.draw([figure.add_subplot(grid[number, column]) for column in range(5)])
        figure.suptitle(printable(title), fontsize=10, color=GREY, y=1 - 0.08 / height, va="top")
        save(figure, path)


@dataclass(frozen=True)
class FoolingRow:
    """One row: the start, the factor, the direction, the fooling image.

    Attributes:
        result: of the attack.
        direction_name: above the middle picture: what was added, up to the factor.
        before, after: best classes of start and result, from :func:`top`.
        target: the wanted class's id, drawn in its own colour.
        reached: its name.
    """

    result: Result
    direction_name: str
    before: list[tuple[int, str, float]]
    after: list[tuple[int, str, float]]
    target: int
    reached: str = ""

    @property
    def factor(self) -> float | None:
        """What the direction was multiplied by; None if it was added as it is."""
        return self.result.factor if self.result.direction is not None else None

    def largest(self) -> float:
        """The change, in grey levels, that the direction's picture shows at full contrast."""
        factor = 1.0 if self.factor is None else abs(self.factor)
        return factor * float(np.percentile(np.abs(self.result.added), TEMPLATE_PERCENTILE))

    def draw(self, axes: list[Axes]) -> None:
        """Draw into five axes: start, sign, template, sign, result."""
        _picture(axes[0], self.result.start, "start")
        _classes(axes[0], self.before, self.target)
        _sign(axes[1], "+")
        _picture(axes[2], template_image(self.result.added), printable(self.direction_name))
        text = f"changes a value by up to {_levels(self.largest())}\nof 255 grey levels; grey: no change"
        if self.factor is not None:
            text = f"times {_factor(self.factor)}\n{text}"
        axes[2].text(0.5, -0.06, text, transform=axes[2].transAxes, ha="center", va="top", fontsize=8, color=GREY)
        _sign(axes[3], "=")
        mean = self.result.distances.mean
        _picture(axes[4], self.result.image, f"mean change {_levels(mean)} of 255")
        _classes(axes[4], self.after, self.target)


def _factor(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 100 else f"{factor:.3g}"


def _levels(levels: float) -> str:
    return f"{levels:.0f}" if levels >= 10 else f"{levels:.2g}"


def _picture(axes: Axes, image: Rgb8, title: str) -> None:
    axes.imshow(image.array, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _sign(axes: Axes, text: str) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=12, transform=axes.transAxes)


def _classes(axes: Axes, best: list[tuple[int, str, float]], target: int) -> None:
    """The best classes under the picture, a thin bar below each; the wanted one stands out."""
    for line, (index, name, probability) in enumerate(best):
        y = -0.07 - 0.115 * line
        colour = ORANGE if index == target else BLUE
        weight = "bold" if index == target else "normal"
        for x, text, side in ((0, name, "left"), (1, percent(probability), "right")):
            axes.text(x, y, text, transform=axes.transAxes, va="center", ha=side, fontsize=9, weight=weight)
        axes.add_patch(_bar(axes, y, 1.0, "#e6e6e6"))
        axes.add_patch(_bar(axes, y, max(probability, 0.004), colour))


def _bar(axes: Axes, y: float, width: float, colour: str) -> Rectangle:
    return Rectangle((0, y - 0.056), width, 0.016, transform=axes.transAxes, color=colour, lw=0, clip_on=False)
