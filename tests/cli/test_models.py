"""Every model of models/ goes the same road: rendered, trained, evaluated and fooled by the same commands."""

from __future__ import annotations

import json
import math
import re
import subprocess
from pathlib import Path

import pytest

from caffefiles.caffemodel import read_weights
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_text, save_text
from foolcaffe.engine import command
from foolcaffe.images import read_image
from foolcaffe.trained import find_trained
from helpers import ROOT, Road, environment, run, succeeds

pytestmark = pytest.mark.usefixtures("programs")
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
    png = read_image(out / f"{model}-val2-to-{fooled['target']['name']}-{method}.png")
    assert find_trained(str(folder)).classifier().probabilities(png.to_bgr())[0].argmax() == fooled["target"]["id"]


def test_the_posts_solver_runs_as_it_stands(road: Road, tmp_path: Path) -> None:
    """From a folder with ``models/`` and ``build/imagenet/``, as the readme types it; only shorter, and on the CPU."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "imagenet").symlink_to(road.dataset)
    solver = read_text(ROOT / "models" / "linear_softmax" / "solver.prototxt", caffe_pb2.SolverParameter())
    assert solver.solver_mode == solver.GPU
    solver.solver_mode, solver.max_iter, solver.test_iter[0] = solver.CPU, 2, 1
    prefix = Path(solver.snapshot_prefix)
    assert prefix.parent == Path("build/imagenet")  # `make lmdb` makes it; Caffe makes no folder, it aborts
    solver.snapshot_prefix = "build/" + prefix.name  # the road is not to be written to
    save_text(tmp_path / "solver.prototxt", solver)
    done = subprocess.run(
        [*command("caffe"), "train", "-solver", "solver.prototxt"],
        cwd=tmp_path,
        env=environment(GLOG_minloglevel="0"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first = re.search(r"Iteration 0.*, loss = ([\d.]+)", done.stderr)
    assert first
    assert abs(float(first.group(1)) - math.log(1000)) <= 0.6
    weights = read_weights(tmp_path / "build" / f"{prefix.name}_iter_2.caffemodel")
    assert [list(blob.shape.dim) for layer in weights.layer for blob in layer.blobs] == [[1000, 3 * 64 * 64], [1000]]
