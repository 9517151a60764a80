"""The post's numbers on real ImageNet images (half of Tiny ImageNet), real Caffe, the post's hyperparameters."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from foolcaffe.caffelog import parse
from foolcaffe.difficulty import difficulty
from foolcaffe.trained import find_trained
from helpers import ROOT, fails, make, run, succeeds

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_caffe")]  # torchcaffe: tests/parity/test_long_run.py


def record(model: Path) -> dict[str, object]:
    return json.loads((model / "trained.json").read_text())


def test_the_posts_hyperparameters_learn(decay100: Path) -> None:
    trained = record(decay100)
    assert trained["iterations"] == 2000
    assert trained["base_lr"] == 1e-7
    assert trained["weight_decay"] == 100
    assert abs(trained["first_loss"] - 5.3) <= 0.5
    assert trained["last_loss"] < 4.6
    assert trained["test"]["top1"] >= 0.06
    assert trained["test"]["top5"] >= 0.17


def test_evaluate_agrees_with_the_last_test(decay100: Path) -> None:
    measured = json.loads(succeeds(run("evaluate", "--model", decay100, "--json", "--quiet")))
    assert measured["images"] == 5000
    assert abs(measured["top1"] - record(decay100)["test"]["top1"]) <= 1e-6
    assert abs(measured["top5"] - record(decay100)["test"]["top5"]) <= 1e-6


def test_std_001_starts_at_about_80(tiny: Path, tmp_path: Path) -> None:
    dataset = ["--model", "linear_softmax", "--dataset", tiny, "--out", tmp_path / "m"]
    succeeds(run("render", *dataset, "--std", "0.01", "--max-iter", 20))
    done = run("train", tmp_path / "m")
    assert "the weights begin too large" in done.stderr
    first = parse((tmp_path / "m" / "train.log").read_text().splitlines()).loss[0]
    assert first[0] == 0
    assert 75 <= first[1] <= 87.34


def test_a_rate_of_1e_4_explodes(tiny: Path, tmp_path: Path) -> None:
    dataset = ["--model", "linear_softmax", "--dataset", tiny, "--out", tmp_path / "m"]
    succeeds(run("render", *dataset, "--base-lr", "1e-4", "--max-iter", 40))
    fails(run("train", tmp_path / "m"), "the training diverged", "lower base_lr")


def test_every_png_flips_and_more_decay_is_harder_to_fool(decay100: Path, decay1000: Path) -> None:
    """The post: "High regularization … is more resistant to fooling"."""
    weak, strong = (difficulty(find_trained(str(m)), images=100, targets=3, quiet=True) for m in (decay100, decay1000))
    assert len(weak.mean_abs) == len(strong.mean_abs) == 300
    assert weak.median <= 2.5
    assert strong.median >= 2 * weak.median


def test_decay_shrinks_the_weights(decay100: Path, decay1000: Path) -> None:
    norms = [np.linalg.norm(find_trained(str(m)).classifier().score_weights()) for m in (decay100, decay1000)]
    assert norms[1] < 0.7 * norms[0]


@pytest.mark.parametrize("start", ["kit fox", "noise"])
def test_the_posts_figures(decay100: Path, shared: Path, tmp_path: Path, start: str) -> None:
    """Kit fox to goldfish and to school bus, and both from noise, at 99 % confidence."""
    begin = (
        ["--start", "noise"] if start == "noise" else ["--image", shared / "imagenet-samples/n02119789_kit_fox.JPEG"]
    )
    command = [
        "fool",
        "--model",
        decay100,
        "--class",
        "goldfish",
        "--class",
        "school bus",
        *begin,
        "--out",
        tmp_path,
        "--json",
    ]
    for found in json.loads(succeeds(run(*command))):
        assert found["verified"] is True
        assert found["confidence_after"] >= 0.99
        assert found["confidence_before"] < 0.05
        assert found["mean_abs"] <= 12
        assert math.isfinite(found["l2"])
    assert len(list(tmp_path.glob("*-figure.png"))) == 1


def test_goldfish_is_class_1_of_imagenet_and_0_here(decay100: Path) -> None:
    synsets = find_trained(str(decay100)).synsets()
    assert synsets.find("goldfish").id == synsets.find("n01443537").id == 0
    assert len(synsets) == 200


def test_make_has_nothing_left_to_do(decay100: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (ROOT / "build" / "tiny-imagenet").rglob("*") if p.is_file()}
    make("lmdb", "train", f"NAME={decay100.name}")
    assert {p: p.stat().st_mtime_ns for p in (ROOT / "build" / "tiny-imagenet").rglob("*") if p.is_file()} == before
