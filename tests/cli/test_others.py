"""templates, evaluate, toy, render: the command lines beside fool."""

from __future__ import annotations

import json
import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foolcaffe.images import read_image
from helpers import REAL_CAFFE, ROOT, Road, environment, fails, run, succeeds

pytestmark = pytest.mark.usefixtures("engine")


def test_evaluate_agrees_with_caffe_test(road: Road) -> None:
    if not REAL_CAFFE:
        pytest.skip("real Caffe is not installed (.caffe)")
    record = json.loads(succeeds(run("evaluate", "--model", road.model, "--json", "--quiet")))
    caffe = [str(ROOT / ".caffe" / "bin" / "caffe"), "test", "-model", str(road.model / "train_val.prototxt")]
    weights = str(next(road.model.glob("*_iter_60.caffemodel")))
    done = subprocess.run(
        [*caffe, "-weights", weights, "-iterations", "6"],
        capture_output=True,
        text=True,
        env=environment(GLOG_logtostderr="1", GLOG_minloglevel="0"),
    )
    # six batches of 50 go five times round the 60 images
    said = dict(re.findall(r"\] (top\d) = ([\d.]+)", done.stderr))
    assert record["images"] == 60
    assert abs(record["top1"] - float(said["top1"])) <= 1e-5
    assert record["top5"] == float(said["top5"]) == 1.0
    assert record["chance_top1"] == 0.2
    assert record["top1"] > 0.5
    assert sum(c["count"] for c in record["confusions"]) == round(60 * (1 - record["top1"]))


def test_evaluate_for_people(road: Road) -> None:
    out = succeeds(run("evaluate", "--model", road.model))
    assert "chance 20.00 %" in out
    assert re.search(r"top-1 +\d+\.\d\d % ±", out)


def test_evaluate_refuses_another_datasets_images(road: Road, tmp_path: Path) -> None:
    fails(run("evaluate", "--model", road.model, "--lmdb", tmp_path), "no LMDB at")


def test_templates_sheet_and_single(road: Road, tmp_path: Path) -> None:
    out = succeeds(run("templates", "--model", road.model, "--out", tmp_path, "--quiet")).split()
    assert out == [str(tmp_path / "templates.png")]
    out = succeeds(
        run("templates", "--model", road.model, "--out", tmp_path, "--class", "ocean", "--class", "0", "--quiet")
    )
    assert [Path(line).name for line in out.splitlines()] == ["template-n03.png", "template-n01.png"]
    ocean = read_image(tmp_path / "template-n03.png").array.astype(float)
    assert ocean.shape == (64, 64, 3)
    # the class is blue: its template is bluer than it is red, and the scale is the same for both
    assert ocean[:, :, 2].mean() > ocean[:, :, 0].mean() + 5
    fails(run("templates", "--model", road.model, "--class", "oceon"), "did you mean 'ocean'?")


@pytest.mark.parametrize("count", [12, 200, 1000])
def test_a_sheet_of_any_number_is_drawn(tmp_path: Path, count: int) -> None:
    from foolcaffe.classes import Synsets
    from foolcaffe.templates import sheet

    rng = np.random.default_rng(1)
    weights = rng.normal(size=(count, 3, 8, 8)).astype(np.float32)
    synsets = list(Synsets([(f"n{i:04d}", [f"a class of a long name {i}"]) for i in range(count)]))
    sheet(tmp_path / "s.png", weights, synsets, "a sheet")
    with Image.open(tmp_path / "s.png") as image:
        width, height = image.size
        columns = math.ceil(math.sqrt(count * 1.5))
        assert width / columns >= 64  # a template keeps its pixels
        assert width <= 6000
        assert height <= 6000


def test_templates_of_one_scale_are_comparable() -> None:
    from foolcaffe.figures import template_image

    row = np.linspace(-1, 1, 3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    full, half = template_image(row, 1.0).array.astype(int), template_image(row / 2, 1.0).array.astype(int)
    assert np.abs((full - 127.5) / 2 - (half - 127.5)).max() <= 0.75
    assert template_image(np.zeros((3, 4, 5), np.float32)).array.max() <= 128


def test_toy(tmp_path: Path) -> None:
    out = succeeds(run("toy", "--out", tmp_path / "toy.png"))
    for number in (
        "w·x = -3",
        "0.0474",
        "[1.5, -1.5, 3.5, -2.5, 2.5, 1.5, 1.5, -3.5, 4.5, 1.5]",
        "w·xad = 2",
        "0.8808",
    ):
        assert number in out


def test_the_toy_says_what_is_wrong(tmp_path: Path) -> None:
    fails(run("toy", "--step", "nan"), "--step nan is no step")
    fails(run("toy", "--out", tmp_path / "toy.xyz"), "its name must end in .png")
    assert not list(tmp_path.iterdir())


def differing(a: object, b: object, path: str = "") -> set[str]:
    """Paths of the fields in which two messages differ."""
    found = set()
    fields = {f.name for f, _ in a.ListFields()} | {f.name for f, _ in b.ListFields()}  # type: ignore[attr-defined]
    for name in fields:
        x, y = getattr(a, name), getattr(b, name)
        pairs = list(zip(x, y)) if hasattr(x, "__len__") and not isinstance(x, str) else [(x, y)]
        for p, q in pairs:
            if hasattr(p, "ListFields"):
                found |= differing(p, q, f"{path}{name}.")
            elif p != q:
                found.add(f"{path}{name}")
    return found


def test_a_rendered_copy_differs_only_where_it_must(road: Road) -> None:
    from caffefiles.proto import caffe_pb2
    from caffefiles.prototxt import read_text

    source = ROOT / "models" / "linear_softmax"
    for name, message, allowed in (
        (
            "train_val",
            "NetParameter",
            {
                *("layer.transform_param.mean_file", "layer.data_param.source", "layer.data_param.batch_size"),
                "layer.inner_product_param.num_output",
            },
        ),
        ("deploy", "NetParameter", {"layer.inner_product_param.num_output"}),
        (
            "solver",
            "SolverParameter",
            {"test_iter", "test_interval", "display", "max_iter", "snapshot", "snapshot_prefix", "net", "solver_mode"},
        ),
    ):
        ours = read_text(road.model / f"{name}.prototxt", getattr(caffe_pb2, message)())
        assert differing(read_text(source / f"{name}.prototxt", getattr(caffe_pb2, message)()), ours) <= allowed, name


@pytest.mark.parametrize("name", ["linear_softmax", "linear_softmax_smooth", "linear_softmax_noisy"])
def test_the_posts_hyperparameters(name: str) -> None:
    from caffefiles.proto import caffe_pb2
    from caffefiles.prototxt import read_text

    solver = read_text(ROOT / "models" / name / "solver.prototxt", caffe_pb2.SolverParameter())
    net = read_text(ROOT / solver.net, caffe_pb2.NetParameter())
    (fc,) = [layer for layer in net.layer if layer.type == "InnerProduct"]
    assert abs(solver.base_lr - 1e-7) <= 1e-13
    assert abs(solver.momentum - 0.9) <= 1e-6
    expected = {"linear_softmax": 100, "linear_softmax_smooth": 10000, "linear_softmax_noisy": 0.0005}[name]
    assert abs(solver.weight_decay - expected) <= 1e-6 * expected
    assert solver.HasField("random_seed")
    assert solver.solver_mode == solver.GPU
    assert fc.inner_product_param.num_output == 1000
    assert fc.inner_product_param.weight_filler.type == "gaussian"
    assert abs(fc.inner_product_param.weight_filler.std - 1e-4) <= 1e-10


def test_render_says_what_is_wrong(road: Road, tmp_path: Path) -> None:
    dataset = ["--dataset", road.dataset, "--out", tmp_path / "m"]
    fails(run("render", "--model", "linear_sofmax", *dataset), "did you mean 'linear_softmax'")
    fails(run("render", "--model", "linear_softmax", "--dataset", tmp_path), "no class names at")
    for option, value in (("--max-iter", "0"), ("--weight-decay", "-1"), ("--std", "nan"), ("--seed", 1 << 40)):
        fails(run("render", "--model", "linear_softmax", *dataset, option, value), "is out of range")
    fails(run("render", "--model", "linear_softmax", *dataset, "--gpu", "0"), "no GPU that this Caffe can use")
    assert not (tmp_path / "m").exists()


def test_what_was_trained_is_not_rendered_otherwise(road: Road) -> None:
    """Else the old weights would pass for those of another decay."""
    before = {p: p.read_bytes() for p in road.model.glob("*.prototxt")}
    same = ["--model", "linear_softmax", "--dataset", road.dataset, "--out", road.model]
    assert "is as asked for already" in succeeds(run("render", *same, "--max-iter", 60))
    for changes, said in (
        (["--max-iter", 60, "--weight-decay", 1000], f"{road.model} was trained with weight_decay 100, not 1000\n"),
        (["--max-iter", 70, "--std", 0.01], "max_iter 60, not 70, std 0.0001, not 0.01"),
    ):
        fails(run("render", *same, *changes), said, "NAME=")
    other = ["--model", "linear_svm", *same[2:], "--max-iter", 60, "--base-lr", 1e-7, "--std", 1e-4]
    fails(run("render", *other), "another model's")
    assert {p: p.read_bytes() for p in road.model.glob("*.prototxt")} == before


def test_the_figure_says_what_its_template_changes() -> None:
    from foolcaffe.attacks import Result
    from foolcaffe.figures import FoolingRow
    from foolcaffe.images import Rgb8

    direction = np.full((3, 4, 5), 2e-4, np.float32)
    direction[0, 0, 0] = -2e-4
    start = Rgb8(np.zeros((4, 5, 3), np.uint8))
    result = Result(start, start.to_bgr(), start, {}, factor=30_000, direction=direction)
    row = FoolingRow(result, "", [], [], target=0)
    assert abs(row.largest() - 6) <= 1e-3


def test_rates_are_written_as_people_write_them() -> None:
    from foolcaffe.train import _short

    assert [_short(v) for v in (1e-7, 0.01, 1.5e10, 2.5e-05)] == ["1e-7", "0.01", "1.5e10", "2.5e-5"]


def test_what_is_left_of_the_initial_weights_is_said(road: Road) -> None:
    """By the formula: what the decay has left of the first weights, in the energy of the present ones."""
    from foolcaffe.initial import initial_share, sentence, training
    from foolcaffe.trained import find_trained

    model = find_trained(str(road.model))
    net = model.classifier()
    facts = training(model.folder, net)
    rows = net.score_weights().reshape(net.classes, -1).astype(np.float64)
    left = np.exp(-60 * 1e-7 * 100 / 0.1)  # the road: 60 iterations, rate 1e-7, decay 100, momentum 0.9
    expected = rows.shape[1] * (1e-4 * left) ** 2 / (rows**2).sum(axis=1)
    assert facts["initial_share"] == pytest.approx(np.minimum(1, expected).tolist(), rel=1e-5)
    assert initial_share(model.folder, net) == pytest.approx(float(np.median(np.minimum(1, expected))), rel=1e-5)
    record = json.loads(succeeds(run("evaluate", "--model", road.model, "--json")))
    assert record["initial_share"] == pytest.approx(initial_share(model.folder, net))
    assert "next to zero" in sentence(0.9)
    assert "next to zero" not in sentence(0.01)
