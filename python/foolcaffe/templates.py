"""Draw what a linear net looks for: its weight rows as images, one sheet of all classes, or single ones.

One scale for the whole sheet: grey is a zero weight, and full contrast is the 99.5th percentile of |weight| over all
classes, printed in the title; so a faint template is a weak one. ``--each`` gives every template its own scale.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from foolcaffe import engine
from foolcaffe.classes import Synset
from foolcaffe.errors import run_cli
from foolcaffe.figures import TEMPLATE_PERCENTILE, template_image
from foolcaffe.images import write_png
from foolcaffe.initial import initial_share, sentence
from foolcaffe.options import command_line
from foolcaffe.style import DPI, GREY, printable, save, styled
from foolcaffe.trained import find_trained


def sheet(path: Path, weights: npt.NDArray[np.float32], synsets: list[Synset], title: str, each: bool = False) -> None:
    """Write a sheet of templates with their names.

    Args:
        path: the PNG.
        weights: classes × channels × height × width, BGR.
        synsets: one for each row.
        title: the scale is added to it.
        each: every template its own scale.
    """
    scale = None if each else float(np.percentile(np.abs(weights), TEMPLATE_PERCENTILE))
    count, height, width = len(weights), weights.shape[2], weights.shape[3]
    columns = min(count, max(4, math.ceil(math.sqrt(count * 1.5))))
    rows = math.ceil(count / columns)
    # Every template pixel is a whole number of the sheet's pixels, so that none is drawn wider than its neighbour.
    zoom = max(1, round((256 if count <= 24 else 128) / max(height, width)))
    font = 8.0 if count <= 24 else 5.5
    gap, label, head = 10, round(font / 72 * DPI * 1.7), 60
    cell_height, cell_width = height * zoom + label, width * zoom + gap
    canvas = np.full((head + rows * cell_height + gap, gap + columns * cell_width, 3), 255, np.uint8)
    with styled():
        figure = Figure(figsize=(canvas.shape[1] / DPI, canvas.shape[0] / DPI))
        for index, (row, synset) in enumerate(zip(weights, synsets)):
            line, column = divmod(index, columns)
            top, left = head + line * cell_height, gap + column * cell_width
            picture = template_image(row, scale).array.repeat(zoom, axis=0).repeat(zoom, axis=1)
            canvas[top : top + height * zoom, left : left + width * zoom] = picture
            letters = int(width * zoom / (font / 72 * DPI * 0.56))
            name = printable(synset.name)
            name = name if len(name) <= letters else name[: letters - 1] + "…"
            x, y = left + width * zoom / 2, top + height * zoom + 3
            figure.text(x / canvas.shape[1], 1 - y / canvas.shape[0], name, fontsize=font, ha="center", va="top")
        note = "each at its own scale" if scale is None else f"full contrast = ±{scale:.2g} score per grey level"
        size = 9 if canvas.shape[1] > 900 else 6.5
        figure.text(
            gap / canvas.shape[1], 1 - 14 / canvas.shape[0], f"{title}; {note}", fontsize=size, color=GREY, va="top"
        )
        figure.figimage(canvas, origin="upper", zorder=-1)
        save(figure, path)


def main(arguments: list[str]) -> int:
    """Parse, draw."""
    parser = command_line("foolcaffe.templates", __doc__, "model weights quiet")
    parser.add_argument(
        "--class",
        dest="classes",
        action="append",
        metavar="ID|WNID|NAME",
        help="only this class, as a PNG of the net's size; may be given several times",
    )
    parser.add_argument("--each", action="store_true", help="every template at its own scale")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: the model's folder")
    options = parser.parse_args(arguments)
    engine.quiet = options.quiet
    model = find_trained(options.model, options.weights)
    synsets = model.synsets()
    chosen = [synsets.find(text) for text in options.classes or ()]
    net = model.classifier()
    weights, share = net.score_weights(), initial_share(model.folder, net)
    out: Path = options.out or model.folder
    if not chosen:
        path = out / "templates.png"
        sheet(
            path,
            weights,
            list(synsets),
            f"{model.dataset.name}, {model.folder.name}: {len(weights)} templates"
            + ("" if share is None else f", {100 * share:.0f} % initial noise"),
            options.each,
        )
        print(path)
    scale = None if options.each else float(np.percentile(np.abs(weights), TEMPLATE_PERCENTILE))
    for synset in chosen:
        path = out / f"template-{synset.wnid}.png"
        write_png(path, template_image(weights[synset.id], scale))
        print(path)
    if not options.quiet:
        if share is not None:
            print(sentence(share), file=sys.stderr)
        norms = np.linalg.norm(weights.reshape(len(weights), -1), axis=1)
        print(
            f"weight norms: {norms.min():.3g} to {norms.max():.3g}, median {np.median(norms):.3g}; {DPI} dpi",
            file=sys.stderr,
        )
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.templates")
