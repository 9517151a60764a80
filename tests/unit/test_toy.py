"""The post's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from foolcaffe.errors import FoolCaffeError
from foolcaffe.toy import draw, toy


def test_every_number_of_the_post() -> None:
    example = toy()
    assert example.x.tolist() == [2, -1, 3, -2, 2, 2, 1, -4, 5, 1]
    assert example.w.tolist() == [-1, -1, 1, -1, 1, -1, 1, 1, -1, 1]
    assert example.score == -3
    assert round(example.probability, 4) == 0.0474
    assert example.xad.tolist() == [1.5, -1.5, 3.5, -2.5, 2.5, 1.5, 1.5, -3.5, 4.5, 1.5]
    assert example.score_ad == 2
    assert round(example.probability_ad, 2) == 0.88


def test_the_score_rises_by_step_times_the_norm_of_w() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=13), rng.normal(size=13)
    example = toy(x, w, 0.25)
    assert abs(example.score_ad - example.score - 0.25 * (w @ w)) <= 1e-12


def test_lengths_must_agree() -> None:
    with pytest.raises(FoolCaffeError, match="3 numbers, w has 2"):
        toy([1, 2, 3], [1, 2])


def test_the_drawing(tmp_path) -> None:
    draw(tmp_path / "toy.png", toy(), 0.5)
    with Image.open(tmp_path / "toy.png") as drawn:
        assert drawn.size == (1200, 570)
