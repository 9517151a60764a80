"""Which layers and bottoms need a gradient. Source: ``net.cpp`` (Init)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Step(NamedTuple):
    """What the analysis reads of a layer."""

    bottoms: Sequence[str]
    tops: Sequence[str]
    losses: Sequence[float]


def forward_pass(
    bottoms: Sequence[int],
    propagate_down: Sequence[bool],
    params: Sequence[bool],
    blob_needs: list[bool],
    tops: Sequence[int],
) -> tuple[bool, list[bool]]:
    """Does a layer need backward, and which of its bottoms, going by what lies below? Marks its tops in ``blob_needs``.

    Args:
        bottoms: indices of the bottom blobs.
        propagate_down: the prototxt's wish for each bottom, or empty.
        params: for each parameter, whether its lr_mult is not 0.
        blob_needs: for each blob of the net so far.
        tops: indices of the top blobs.
    """
    needs = any(params) or any(blob_needs[i] for i in bottoms)
    below = list(propagate_down) if propagate_down else [blob_needs[i] for i in bottoms]
    if needs:
        for i in tops:
            blob_needs[i] = True
    return needs, below


def backward_pass(steps: Sequence[Step], layer_needs: list[bool], bottom_needs: list[list[bool]]) -> None:
    """Take back, in place, what no loss lies above of, and what only leads to bottoms that need nothing."""
    under_loss: set[str] = set()
    skipped: set[str] = set()
    for i in reversed(range(len(steps))):
        step = steps[i]
        contributes = any(loss or top in under_loss for top, loss in zip(step.tops, step.losses))
        skip = all(top in skipped for top in step.tops)
        if layer_needs[i] and skip:
            layer_needs[i] = False
            bottom_needs[i] = [False] * len(step.bottoms)
        if not contributes:
            layer_needs[i] = False
        for j, bottom in enumerate(step.bottoms):
            if contributes:
                under_loss.add(bottom)
            else:
                bottom_needs[i][j] = False
            if not bottom_needs[i][j]:
                skipped.add(bottom)
