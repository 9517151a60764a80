"""Every model of models/ goes the same road: rendered, trained, evaluated and fooled by the same commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foolcaffe.images import read_image
from foolcaffe.models import find_trained
from helpers import ROOT, Road, run, succeeds

pytestmark = pytest.mark.usefixtures("engine")
MODELS = sorted(p.parent.name for p in (ROOT / "models").glob("*/solver.prototxt"))


def test_there_are_the_models_that_the_readme_names() -> None:
    assert {"linear_softmax", "linear_svm", "convnet64"} <= set(MODELS)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_the_same_commands(road: Road, tmp_path: Path, model: str) -> None:
    own = road.copy(tmp_path)
    folder = own.dataset / model
    if folder != own.model:
        render = ["--model", model, "--dataset", own.dataset, "--out", folder, "--max-iter", 40]
        succeeds(run("render", *render))
        succeeds(run("train", folder, "--quiet"))
    record = json.loads((folder / "trained.json").read_text())
    assert record["test"]["top1"] > 0.4  # five colours, one in five by chance
    said = json.loads(succeeds(run("evaluate", "--model", folder, "--json")))
    assert abs(said["top1"] - record["test"]["top1"]) <= 1e-6
    out = tmp_path / "fool"
    method = "iterated" if model == "convnet64" else "exact"
    options = ["--class", "sand", "--flip", "--method", method, "--start", "val:2", "--json", "--out", out]
    fooled = json.loads(succeeds(run("fool", "--model", folder, *options)))
    assert fooled["verified"] is True
    png = read_image(out / f"{model}-val2-to-{fooled['target']['name']}.png")
    assert find_trained(str(folder)).classifier().probabilities(png.to_bgr())[0].argmax() == fooled["target"]["id"]
