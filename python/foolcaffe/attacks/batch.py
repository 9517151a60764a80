"""Images × targets at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foolcaffe.attacks import run
from foolcaffe.attacks.base import Criterion, Result, Scores
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import Rgb8
from foolcaffe.progress import Progress


def attack_all(net: Scores, starts: Sequence[Rgb8], targets: Sequence[int | None], *, method: str = "exact",
               labels: Sequence[int] | None = None, confidence: float | None = None, quiet: bool = True, seed: int = 0,
               **options: Any) -> list[list[Result | None]]:
    """Fool every image into every target: ``results[image][target]``.

    What a net has in common is computed once (the Gram matrix of the exact attack, say); every result is judged as the
    8-bit image that a PNG holds. A target that an image shows already, or that is its label, gives None.

    Args:
        net: the classifier.
        starts: images of its size.
        targets: classes; None for an untargeted attack, which needs labels.
        method: a name of ``METHODS``.
        labels: the class of each image, for untargeted attacks.
        confidence: how sure the net is to be of a target.
        quiet: no progress.
        seed: of the first; each next pair has one more.
        options: the method's: ``eps``, ``norm``, ``steps``, ``step_size``, ``bounds``, ``budget``, …

    Raises:
        FoolCaffeError: not a label for each image; or what the method raises.
    """
    if labels is not None and len(labels) != len(starts):
        raise FoolCaffeError(f"{len(starts)} images and {len(labels)} labels: one for each image was expected")
    if labels is None and None in targets:
        raise FoolCaffeError("an untargeted attack needs the labels of the images")
    rows: list[list[Result | None]] = []
    with Progress(len(starts) * len(targets), "attacks", method, quiet) as progress:
        for i, start in enumerate(starts):
            before = net.probabilities(start.to_bgr())
            row: list[Result | None] = []
            for target in targets:
                criterion = Criterion(target=target, confidence=confidence) if target is not None else \
                    Criterion(label=(labels or [])[i])
                criterion.check(net.classes)
                met = bool(criterion.met(before)[0])
                row.append(None if met else run(method, net, start, criterion, seed=seed + i * len(targets) + len(row), **options))
                progress.advance()
            rows.append(row)
    return rows
