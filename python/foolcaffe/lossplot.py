"""``loss.png``: training loss and validation accuracy over the iterations of a Caffe log."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.figure import Figure

from foolcaffe.caffelog import TrainLog
from foolcaffe.style import BLUE, GREEN, GREY, ORANGE, save, styled


def plot_loss(path: Path, log: TrainLog, title: str) -> None:
    """Draw the log: above the training and validation loss, below top-1 and top-5 in percent."""
    with styled():
        figure = Figure(figsize=(7, 6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        shown = [(i, v) for i, v in log.loss if math.isfinite(v)]
        upper.plot([i for i, _ in shown], [v for _, v in shown], color=BLUE, lw=1.2, label="training (a batch)")
        lost = [i for i, v in log.loss if not math.isfinite(v)]
        if lost:
            upper.axvspan(lost[0], lost[-1] + 1, color="#f4c7c3", label="not finite")
        for name, axes, colour, label in (
            ("loss", upper, ORANGE, "validation"),
            ("top1", lower, BLUE, "top-1"),
            ("top5", lower, GREEN, "top-5"),
        ):
            points = [(i, t[name]) for i, t in sorted(log.tests.items()) if name in t and math.isfinite(t[name])]
            factor = 1 if name == "loss" else 100
            axes.plot(
                [i for i, _ in points], [factor * v for _, v in points], "o-", ms=3.5, lw=1.2, color=colour, label=label
            )
        upper.set_ylabel("loss (nats)")
        upper.set_ylim(bottom=0)
        lower.set_ylabel("validation accuracy (%)")
        lower.set_ylim(bottom=0)
        lower.set_xlabel("iteration")
        for axes in (upper, lower):
            if axes.get_legend_handles_labels()[0]:
                axes.legend(loc="best")
        figure.suptitle(title, fontsize=10, color=GREY)
        save(figure, path)
