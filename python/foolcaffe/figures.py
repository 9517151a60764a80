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
from foolcaffe.style import BLUE, GREY, ORANGE, save, styled

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
    """The best classes: (id, name, probability), best first."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [(int(i), synsets[int(i)].name, float(probabilities[i])) for i in order]


def percent(probability: float) -> str:
    """A probability in percent; what is nearly sure or nearly impossible does not round to 100 or 0."""
    if probability >= 0.9995:
        return ">99.9 %" if probability < 1 else "100 %"
    if 0 < probability < 0.0005:
        return "<0.1 %"
    return f"{100 * probability:.1f} %"


def target_sheet(path: Path, start: Rgb8, pictures: list[tuple[Rgb8, str, str]], title: str) -> None:
    """Write a sheet: the start, then one image fooled into each class.

    Args:
        path: the PNG.
        start: drawn first.
        pictures: image, name of the class, size of the change.
        title: above.
    """
    cells = [(start, "start", ""), *pictures]
    columns = min(len(cells), max(4, math.ceil(math.sqrt(1.5 * len(cells)))))
    rows = math.ceil(len(cells) / columns)
    side, label, head, gap = 0.9, 0.24, 0.35, 0.06  # inches
    width, height = columns * (side + gap) + gap, rows * (side + label) + head
    with styled():
        figure = Figure(figsize=(width, height))
        for index, (image, name, size) in enumerate(cells):
            line, column = divmod(index, columns)
            left, low = gap + column * (side + gap), height - head - line * (side + label) - side
            axes = figure.add_axes((left / width, low / height, side / width, side / height))
            axes.imshow(image.array, interpolation="nearest")
            axes.axis("off")
            text = f"{textwrap.shorten(name, 17, placeholder='…') if ' ' in name else name[:17]} {size}".strip()
            colour = ORANGE if index == 0 else "black"
            figure.text(
                (left + side / 2) / width, (low - 0.03) / height, text, fontsize=6, ha="center", va="top", color=colour
            )
        lines = "\n".join(textwrap.wrap(title, int(width * 15)))
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
        figure.suptitle(title, fontsize=10, color=GREY, y=1 - 0.08 / height, va="top")
        save(figure, path)


@dataclass(frozen=True)
class FoolingRow:
    """One row: the start, the factor, the direction, the fooling image.

    Attributes:
        result: of the attack.
        direction_name: above the middle picture: what was added, up to the factor.
        before, after: best classes of start and result, from :func:`top`.
        target: the wanted class's id, drawn in its own colour.
    """

    result: Result
    direction_name: str
    before: list[tuple[int, str, float]]
    after: list[tuple[int, str, float]]
    target: int

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
        _sign(axes[1], "+" if self.factor is None else f"+ {_factor(self.factor)} ×")
        _picture(axes[2], template_image(self.result.added), self.direction_name)
        axes[2].text(
            0.5,
            -0.06,
            f"grey: no change; full contrast:\n±{self.largest():.2g} grey levels"
            + ("" if self.factor is None else " after the factor"),
            transform=axes[2].transAxes,
            ha="center",
            va="top",
            fontsize=8,
            color=GREY,
        )
        _sign(axes[3], "=")
        mean = self.result.distances.mean
        _picture(axes[4], self.result.image, f"mean change {mean:{'.0f' if mean >= 10 else '.2g'}} of 255")
        _classes(axes[4], self.after, self.target)


def _factor(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 100 else f"{factor:.3g}"


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
    """The best classes as bars under the picture; the wanted one stands out."""
    for line, (index, name, probability) in enumerate(best):
        y = -0.09 - 0.115 * line
        colour = ORANGE if index == target else BLUE
        axes.add_patch(_bar(axes, y, 1.0, "#eeeeee"))
        axes.add_patch(_bar(axes, y, max(probability, 0.004), colour, 0.35 if index != target else 0.55))
        label = textwrap.shorten(name, 24, placeholder="…") if " " in name else name[:24]
        weight = "bold" if index == target else "normal"
        axes.text(0.02, y, label, transform=axes.transAxes, va="center", fontsize=9, weight=weight)
        axes.text(
            0.98, y, percent(probability), transform=axes.transAxes, va="center", ha="right", fontsize=9, weight=weight
        )


def _bar(axes: Axes, y: float, width: float, colour: str, alpha: float = 1.0) -> Rectangle:
    return Rectangle(
        (0, y - 0.05), width, 0.1, transform=axes.transAxes, color=colour, alpha=alpha, lw=0, clip_on=False
    )
