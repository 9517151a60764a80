"""Rules of verdicts that need more than one comparison: a claim that nothing has tested is not decided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foolcaffe.study.parts import background, mitigations, transfer
from foolcaffe.study.record import CONFIRMED, NOT_CONFIRMED, NOT_TESTABLE


def rounds(fed: float, unseen: float, success: float, change: float | None) -> list[dict[str, Any]]:
    """Two rounds of a background class, before and after."""
    first = {"round": 0, "images": 0, "fed": None, "unseen": None, "lost": 0.0, "success": 0.95, "change": 6.0}
    last = {"round": 3, "images": 700, "fed": fed, "unseen": unseen, "lost": 0.01, "success": success, "change": change}
    return [first, last]


@pytest.mark.parametrize(
    ("linear", "convnet", "verdict"),
    [
        (rounds(0.0, 0.0, 1.0, 6.0), rounds(0.5, 0.4, 1.0, 6.0), NOT_TESTABLE),  # no net has learnt it
        (rounds(0.0, 0.0, 1.0, 6.0), rounds(0.9, 0.4, 1.0, 6.0), NOT_TESTABLE),  # by heart is not learnt
        (rounds(0.0, 0.0, 0.1, None), rounds(0.95, 0.8, 0.94, 7.0), CONFIRMED),  # who has not learnt it does not count
        (rounds(0.9, 0.9, 1.0, 6.0), rounds(0.95, 0.8, 0.94, 13.0), NOT_CONFIRMED),  # attacks need more
        (rounds(0.9, 0.9, 1.0, 6.0), rounds(0.95, 0.8, 0.4, None), NOT_CONFIRMED),  # attacks fail
    ],
)
def test_the_background_class_must_be_learnt(linear: Any, convnet: Any, verdict: str) -> None:
    assert background.claim({"linear": linear, "ConvNet": convnet}).verdict == verdict


def test_targets_are_other_classes() -> None:
    labels = np.arange(5000) % 7
    targets = background.draw(labels, 7, 3)
    assert not (targets == labels).any()
    assert set(np.bincount(targets, minlength=7) > 500) == {True}
    assert len(targets) == 5000


def defence(family: str, strength: int, clean: float, same: float, knowing: float) -> dict[str, Any]:
    lost = 0.1 - clean
    return {
        "family": family,
        "name": f"{family}, σ {strength}",
        "clean": clean,
        "lost": lost,
        "error": 0.004,
        "same": same,
        "right_same": 0.2,
        "right_just": 0.6,
        "knowing": knowing,
        "right_knowing": 0.0,
    }


def table(*blurs: dict[str, Any]) -> list[dict[str, Any]]:
    others = [defence(family, 1, 0.09, 0.5, 0.5) for family in ("regularization", "noise", "crops")]
    return [defence("none", 0, 0.1, 1.0, 1.0), *others, *blurs]


@pytest.mark.parametrize(
    ("blurs", "verdict", "told"),
    [
        ([defence("blur", 1, 0.1, 1.0, 1.0), defence("blur", 2, 0.07, 0.3, 0.8)], CONFIRMED, "σ 2"),
        # stops nothing that knows it
        ([defence("blur", 1, 0.09, 0.0, 1.0), defence("blur", 2, 0.08, 0.0, 0.95)], NOT_CONFIRMED, "σ 2"),
        # the weakest that works costs nothing
        ([defence("blur", 1, 0.099, 0.1, 0.4), defence("blur", 2, 0.06, 0.0, 0.0)], NOT_CONFIRMED, "σ 1"),
        # what answers at random is not fooled
        ([defence("blur", 1, 0.1, 1.0, 1.0), defence("blur", 2, 0.01, 0.0, 0.0)], NOT_CONFIRMED, "σ 1"),
    ],
)
def test_a_defence_is_judged_where_it_begins_to_work(blurs: Any, verdict: str, told: str) -> None:
    claim = next(c for c in mitigations._claims(table(*blurs)) if c.key == "blur")
    assert claim.verdict == verdict
    assert f"With blur, {told} " in claim.measured


def test_a_classifier_that_noise_unsettles_tells_nothing_of_transfer() -> None:
    names = [
        "softmax, decay 100",
        "softmax, half A",
        "softmax, half B",
        "SVM",
        "ConvNet",
        "ConvNet, other seed",
        "Random Forest",
    ]
    noise = [0.1] * 6 + [0.9]
    changed = [[0.5] * 6 + [0.95]] * 7
    forest = {"classes": 10, "top1": 0.35, "images": 30, "fooled": 0.9, "noise": 0.02, "queries": 80.0}
    claims = {c.key: c for c in transfer._claims({"names": names, "changed": [*changed, noise]}, forest)}
    assert claims["subsets"].verdict == CONFIRMED
    assert "Random Forest does not count: noise alone changes 90 %" in claims["subsets"].measured
    assert claims["forest"].verdict == CONFIRMED
    unsteady = {
        c.key: c for c in transfer._claims({"names": names, "changed": [*changed, noise]}, {**forest, "noise": 0.5})
    }
    assert unsteady["forest"].verdict == NOT_CONFIRMED
