"""``python -m foolcaffe.fool`` on real Caffe; the PNG on disk is the judge."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foolcaffe.attacks import Criterion
from foolcaffe.classifier import Classifier
from foolcaffe.images import noise, read_image, resize, write_png
from foolcaffe.trained import find_trained
from foolcaffe.verify import verify
from helpers import ENGINE, ROOT, Road, environment, fails, run, succeeds

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(scope="module")
def net(road: Road) -> Classifier:
    return find_trained(str(road.model)).classifier()


def fool(road: Road, out: Path, *arguments: object):
    return run("fool", "--model", road.model, "--out", out, *arguments)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("method", ["gradient", "sign"])
@pytest.mark.parametrize("target", ["n02", "3", "sand"])
def test_flip_on_disk(road: Road, net: Classifier, tmp_path: Path, method: str, target: str) -> None:
    done = fool(road, tmp_path, "--class", target, "--flip", "--method", method, "--start", "val:5", "--json")
    record = json.loads(succeeds(done))
    stem = f"linear_softmax-val5-to-{record['target']['name']}{'' if method == 'gradient' else '-sign'}"
    assert names(tmp_path) == [f"{stem}{tail}" for tail in ("-figure.png", "-perturbation.png", ".json", ".png")]
    assert json.loads((tmp_path / f"{stem}.json").read_text()) == record
    image = read_image(tmp_path / f"{stem}.png")
    probabilities = net.probabilities(image.to_bgr())[0]
    assert (
        int(probabilities.argmax()) == record["target"]["id"] == find_trained(str(road.model)).synsets().find(target).id
    )
    assert record["verified"] is True
    assert record["success"]["image"] is True
    assert abs(record["confidence_after"] - probabilities.max()) <= 1e-6
    assert record["after"][0]["id"] == record["target"]["id"] != record["before"][0]["id"]


def test_the_record_measures_the_png(road: Road, tmp_path: Path) -> None:
    from caffefiles.datum import DatumLMDB

    record = json.loads(
        succeeds(fool(road, tmp_path, "--class", "1", "--start", "val:7", "--confidence", "0.9", "--json"))
    )
    with DatumLMDB(road.dataset / "val_lmdb") as records:
        start = records.record(7).pixels.astype(np.float64)
    image = read_image(next(tmp_path.glob("*meadow.png"))).to_bgr().array.astype(np.float64)
    assert abs(record["l2"] - np.linalg.norm(image - start)) <= 1e-9
    assert record["linf"] == np.abs(image - start).max()
    assert abs(record["mean_abs"] - np.abs(image - start).mean()) <= 1e-12
    assert record["confidence_after"] >= 0.9
    assert record["confidence_before"] < 0.9
    assert set(record["sha256"]) == {"png", "weights", "deploy", "mean", "start"}
    assert record["engine"] == ENGINE


def test_the_step_is_the_smallest(road: Road, net: Classifier, tmp_path: Path) -> None:
    """Half a percent less of the same direction fools no more."""
    from caffefiles.datum import DatumLMDB
    from foolcaffe.images import BgrPixels

    record = json.loads(succeeds(fool(road, tmp_path, "--class", "4", "--start", "val:3", "--flip", "--json")))
    with DatumLMDB(road.dataset / "val_lmdb") as records:
        start = records.record(3).pixels.astype(np.float32)
    direction = net.class_gradient(BgrPixels(start), 4)
    less = BgrPixels(start + np.float32(0.995 * record["factor"]) * direction)
    assert int(net.scores(less.to_rgb8().to_bgr())[0].argmax()) != 4


def test_the_same_seed_gives_the_same_files(road: Road, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        succeeds(fool(road, tmp_path / folder, "--class", "2", "--start", "noise", "--seed", "5", "--flip"))
    assert names(tmp_path / "a") == names(tmp_path / "b")
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_several_classes_make_one_figure(road: Road, tmp_path: Path) -> None:
    succeeds(fool(road, tmp_path, "--class", "ocean", "--class", "dusk", "--start", "val:1", "--flip"))
    figures = [n for n in names(tmp_path) if n.endswith("-figure.png")]
    assert figures == ["linear_softmax-val1-to-ocean-dusk-figure.png"]
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_without_a_start_one_that_the_net_gets_right(road: Road, net: Classifier, tmp_path: Path) -> None:
    record = json.loads(succeeds(fool(road, tmp_path, "--class", "0", "--flip", "--json")))
    number = int(record["start"].split()[2].rstrip(","))
    line = (road.dataset / "val.txt").read_text().splitlines()[number]
    assert int(line.split()[-1]) == record["before"][0]["id"] != 0


def start_files(folder: Path) -> dict[str, Path]:
    rgb = np.asarray(Image.fromarray(noise(91, 57, 3).array))
    exif = Image.Exif()
    exif[0x0112] = 8
    made = {
        "grey": lambda p: Image.fromarray(rgb[:, :, 0]).save(p),
        "cmyk.jpg": lambda p: Image.fromarray(rgb).convert("CMYK").save(p),
        "alpha": lambda p: Image.fromarray(np.dstack([rgb, rgb[:, :, 1]])).save(p),
        "deep": lambda p: Image.fromarray(rgb[:, :, 0].astype(np.uint16) * 200).save(p),
        "rotated.jpg": lambda p: Image.fromarray(rgb).save(p, exif=exif),
    }
    files = {}
    for name, save in made.items():
        files[name] = folder / (name if "." in name else f"{name}.png")
        save(files[name])
    return files


@pytest.mark.parametrize("kind", ["grey", "cmyk.jpg", "alpha", "deep", "rotated.jpg"])
def test_start_images_of_every_kind(road: Road, net: Classifier, tmp_path: Path, kind: str) -> None:
    image = start_files(tmp_path)[kind]
    start = resize(read_image(image), 64, 64)
    target = (int(net.scores(start.to_bgr())[0].argmax()) + 1) % 5
    record = json.loads(succeeds(fool(road, tmp_path / "out", "--class", target, "--image", image, "--flip", "--json")))
    (png,) = (p for p in (tmp_path / "out").glob("*.png") if not p.stem.endswith(("-figure", "-perturbation")))
    assert read_image(png).size == (64, 64)
    assert int(net.scores(read_image(png).to_bgr())[0].argmax()) == target
    assert record["verified"] is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--class", "7"], "class id 7 is out of range"),
        (["--class", "medow"], "did you mean 'meadow'?"),
        (["--class", "1", "--start", "val:999"], "no record 999"),
        (["--class", "1", "--start", "photo"], "expected: noise, grey, or val:N"),
        (["--class", "1", "--image", "/no/such/file.png"], "no image at /no/such/file.png"),
        (["--class", "1", "--image", str(ROOT / "LICENSE")], "LICENSE is no image"),
        (["--class", "1", "--weights", "/no/such.caffemodel"], "no caffemodel at /no/such.caffemodel"),
        (["--class", "1", "--mean", "/no/such.mean"], "no mean image at /no/such.mean"),
        (["--class", "1", "--gpu", "99"], "no GPU that this Caffe can use"),
    ],
)
def test_bad_arguments(road: Road, tmp_path: Path, arguments: list[str], said: str) -> None:
    fails(fool(road, tmp_path / "out", *arguments), said)
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") == []


def test_usage(road: Road, tmp_path: Path) -> None:
    fails(fool(road, tmp_path, "--class", "1", "--flip", "--confidence", "0.9"), "not allowed with", code=2)
    fails(run("fool"), "one of --class, --all-targets and --untargeted is needed", code=2)
    both = fool(road, tmp_path, "--class", "1", "--untargeted")
    fails(both, "--class and --untargeted were given: only one of them can be", code=2)
    fails(fool(road, tmp_path, "--class", "1", "--method", "gradeint"), "did you mean 'gradient'?", code=2)
    fails(fool(road, tmp_path, "--class", "1", "--confidence", "1"), "confidence 1.0 is out of range", code=2)


def test_a_start_of_the_class_already(road: Road, net: Classifier, tmp_path: Path) -> None:
    fails(fool(road, tmp_path, "--class", "0", "--start", "val:0", "--flip"), "already")
    assert names(tmp_path) == []


def test_what_cannot_be_reached_is_said_and_leaves_nothing(road: Road, tmp_path: Path) -> None:
    """Two classes with the same weights: neither can ever beat the other."""
    from caffefiles.caffemodel import read_weights

    twins = read_weights(next(road.model.glob("*_iter_60.caffemodel")))
    rows, bias = next(layer.blobs for layer in twins.layer if layer.blobs)
    rows.data[12288 : 2 * 12288] = rows.data[2 * 12288 : 3 * 12288]
    bias.data[1] = bias.data[2]
    (tmp_path / "twins.caffemodel").write_bytes(twins.SerializeToString())
    done = fool(
        road, tmp_path / "out", "--class", "1", "--start", "val:0", "--flip", "--weights", tmp_path / "twins.caffemodel"
    )
    fails(done, "not reached within 0..255 by gradient", "highest confidence", "--method: sign")
    assert names(tmp_path / "out") == []


def test_a_read_only_folder(road: Road, tmp_path: Path) -> None:
    """Root may write anywhere, so a file in the folder's place stands in for it when the tests run as root."""
    folder = tmp_path / "out"
    if os.getuid() == 0:
        folder.write_text("a file")
        fails(fool(road, folder, "--class", "1", "--flip", "--start", "val:0"), "cannot use", "out")
    else:
        folder.mkdir(mode=0o500)
        fails(fool(road, folder, "--class", "1", "--flip", "--start", "val:0"), "permission denied")


def test_a_full_disk(road: Road, tmp_path: Path) -> None:
    """A file size limit gives the same failure as a full disk, without root."""
    command = f"ulimit -f 4; exec {sys.executable} -m foolcaffe.fool --model {road.model} --class 1 --flip"
    command += f" --start val:0 --out {tmp_path}/o"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=60
    )
    fails(done, "size limit")
    assert "Traceback" not in done.stderr
    assert [n for n in names(tmp_path / "o") if n.startswith(".") or n.endswith((".json", "-figure.png"))] == []


def test_the_verifier_is_not_fooled_by_the_start(road: Road, net: Classifier, tmp_path: Path) -> None:
    start = noise(64, 64, 2)
    label = int(net.scores(start.to_bgr())[0].argmax())
    write_png(tmp_path / "x.png", start)
    assert not verify(net, tmp_path / "x.png", start, Criterion((label + 1) % 5)).fooled
    assert verify(net, tmp_path / "x.png", start, Criterion(label)).fooled
    Image.fromarray(start.array).save(tmp_path / "j.png", format="JPEG")
    from foolcaffe.errors import FoolCaffeError

    with pytest.raises(FoolCaffeError, match="is no PNG"):
        verify(net, tmp_path / "j.png", start, Criterion(label))


def test_quiet_prints_the_path_only(road: Road, tmp_path: Path) -> None:
    done = fool(road, tmp_path, "--class", "1", "--flip", "--start", "val:0", "--quiet")
    assert succeeds(done).splitlines() == [str(tmp_path / "linear_softmax-val0-to-meadow.png")]
    assert done.stderr == ""


def test_many_images_at_once(road: Road, net: Classifier, tmp_path: Path) -> None:
    """A sheet of starts and results, a line and a CSV row for each; one that cannot be fooled ends with code 1."""
    images = []
    for number in range(3):
        images += ["--image", tmp_path / f"photo {number}.png"]
        write_png(images[-1], noise(50 + number, 70, number))
    table = tmp_path / "all.csv"
    out = succeeds(fool(road, tmp_path / "out", "--class", "ocean", "--flip", *images, "--csv", table))
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["start"] for row in rows] == [f"photo {n}.png" for n in range(3)]
    for row in rows:
        best = net.probabilities(read_image(tmp_path / "out" / row["png"]).to_bgr())[0]
        assert (row["seen after"], float(row["confidence after"])) == ("ocean", pytest.approx(best[2], abs=1e-6))
        assert row["start"] in out
    with Image.open(tmp_path / "out" / "linear_softmax-3-images-to-ocean-sheet.png") as sheet:
        assert sheet.width > 300

    write_png(images[1], resize(read_image(next((tmp_path / "out").glob("*1-to-ocean.png"))), 64, 64))
    done = fool(road, tmp_path / "two", "--class", "ocean", "--flip", *images[:4], "--json")
    fails(done, "photo 0 to ocean: the start is what you want already")
    assert [record["start"] for record in json.loads(done.stdout)] == ["photo 1.png"]


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_a_film_ends_with_what_the_png_shows(road: Road, tmp_path: Path, kind: str) -> None:
    arguments = ["--class", "2", "--start", "val:1", "--flip", "--animate", kind]
    assert f"film    {tmp_path}" in succeeds(fool(road, tmp_path, *arguments))
    (path,) = tmp_path.glob(f"*.{kind}")
    with Image.open(path) as film:
        assert film.n_frames >= 20
        film.seek(film.n_frames - 1)
        last = np.asarray(film.convert("RGB").crop((0, 0, 384, 384)).resize((64, 64), Image.Resampling.NEAREST))
    end = read_image(tmp_path / "linear_softmax-val1-to-ocean.png").array
    assert np.abs(last.astype(float) - end).mean() <= (0 if kind == "webp" else 12)  # a GIF has 256 colours


def test_every_field_of_a_record_is_documented(road: Road, tmp_path: Path) -> None:
    found: set[str] = set()
    for method in ("gradient", "exact"):
        arguments = ["--class", "1", "--start", "val:2", "--method", method, "--json", "--trace"]
        record = json.loads(succeeds(fool(road, tmp_path, *arguments)))
        found |= set(record)
        assert all(len(row) == len(record["trajectory"]["columns"]) for row in record["trajectory"]["rows"])
    (written,) = tmp_path.glob("*exact.json")
    assert max(map(len, written.read_text().splitlines())) <= 300
    text = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    assert found == documented
    assert "trajectory" not in json.loads(succeeds(fool(road, tmp_path, "--class", "1", "--start", "val:2", "--json")))
