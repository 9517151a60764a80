"""Parts on a real road: done once, going on after an interruption, failing alone; with real Caffe."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from foolcaffe.errors import FoolCaffeError
from foolcaffe.locks import locked
from foolcaffe.render import Overrides
from foolcaffe.study import views
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.record import POST, Check, Claim
from foolcaffe.study.runner import Part, dataset_hashes, read_record, run_part
from foolcaffe.study.scale import SMALLEST
from foolcaffe.study.views import half, shrink, sized
from helpers import ENGINE, ROOT, Road, environment, fails, run, succeeds

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def own(road: Road, tmp_path: Path) -> Road:
    """A copy of the road."""
    return road.copy(tmp_path)


measured: list[int] = []
"""What :func:`counted` was called with."""


@pytest.fixture(autouse=True)
def _nothing_is_measured_yet() -> None:
    measured.clear()


def counted(lab: Bench, number: int) -> int:
    measured.append(number)
    return number


def images(lab: Bench) -> int:
    return lab.scale.images


def good(lab: Lab) -> list[Claim]:
    value = lab.step("once", images)
    return [Claim("one", POST, "quote", f"{value}", [Check("value", value, "≥", 1.0)])]


def run_one(road: Road, part: Part, **options: object):
    return run_part("part", part, road.dataset, dataset_hashes(road.dataset), quiet=True, **options)  # type: ignore[arg-type]


def test_what_was_measured_is_not_measured_again_until_the_data_change(own: Road) -> None:
    judged = []

    def judging(lab: Lab) -> list[Claim]:
        judged.append(1)
        lab.step("more", counted, 1)
        return good(lab)

    part = Part("Part", "About.", judging)
    first = run_one(own, part)
    assert run_one(own, part) == first
    assert (len(judged), len(measured)) == (2, 1)
    assert run_one(own, part, again=True).findings == first.findings
    assert (len(judged), len(measured)) == (3, 2)
    (own.dataset / "synset_words.txt").write_text((own.dataset / "synset_words.txt").read_text() + "\n")
    changed = run_one(own, part)
    assert (len(judged), len(measured)) == (4, 3)
    assert changed.fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("error", "said"), [(FoolCaffeError("no such thing", "do this"), "do this"), (ZeroDivisionError("bug"), "bug")]
)
def test_a_failed_part_is_recorded_and_tried_again(own: Road, error: Exception, said: str) -> None:
    def broken(lab: Lab) -> list[Claim]:
        raise error

    record = run_one(own, Part("Part", "About.", broken))
    assert said in record.error
    assert record.findings is None
    assert read_record(own.dataset / "study" / "part" / "record.json") == record
    assert not run_one(own, Part("Part", "About.", good)).error


def test_an_interrupted_part_goes_on_from_its_last_step(own: Road) -> None:
    stops = [2]

    def slow(lab: Lab) -> list[Claim]:
        for step in range(4):
            lab.step(str(step), counted, step)
            if step in stops:
                stops.clear()
                raise KeyboardInterrupt
        return good(lab)

    with pytest.raises(KeyboardInterrupt):
        run_one(own, Part("Part", "About.", slow))
    assert not (own.dataset / "study" / "part" / "record.json").exists()
    run_one(own, Part("Part", "About.", slow))
    assert measured == [0, 1, 2, 3]


def test_a_step_is_of_its_arguments_and_takes_nothing_from_around_it(own: Road) -> None:
    bench = lab(own)
    assert [bench.step("one", counted, number) for number in (1, 1, 2)] == [1, 1, 2]
    assert measured == [1, 2]
    outside = 3
    with pytest.raises(ValueError, match="not a function at the top level of a module"):
        bench.step("nested", lambda lab: outside)


def test_a_damaged_record_is_not_used(own: Road, capsys: pytest.CaptureFixture[str]) -> None:
    part = Part("Part", "About.", good)
    run_one(own, part)
    path = own.dataset / "study" / "part" / "record.json"
    path.write_text(path.read_text()[:-40])
    assert run_one(own, part).findings is not None
    assert "is damaged" in capsys.readouterr().err


def lab(road: Road) -> Lab:
    return Lab(road.dataset, road.dataset / "study", "part", SMALLEST, "f", quiet=True)


def test_a_model_is_trained_once_and_again_if_it_shall_differ(own: Road) -> None:
    bench = lab(own)
    first = bench.trained("m", Overrides(max_iter=7, seed=3))
    assert len(list(first.folder.glob("*_iter_*"))) == 1  # what only a resumed run needs is gone
    before = first.weights.stat().st_mtime_ns
    assert bench.trained("m", Overrides(max_iter=7, seed=3)).weights.stat().st_mtime_ns == before
    other = bench.trained("m", Overrides(max_iter=9, seed=3))
    assert other.weights.name == "m_iter_9.caffemodel"
    assert not list(own.dataset.glob("m"))


def test_a_diverging_run_is_a_curve_and_no_failure(own: Road) -> None:
    curve = lab(own).curve("fast", Overrides(base_lr=1.0, std=1e-4, max_iter=20, seed=1))
    assert curve["diverged"]
    assert curve["norm"] is None
    fine = lab(own).curve("slow", Overrides(base_lr=1e-8, weight_decay=1000.0, max_iter=20, seed=1))
    assert not fine["diverged"]
    assert fine["penalty"] == pytest.approx(500.0 * fine["norm"] ** 2)
    assert not list((own.dataset / "study").rglob("*.caffemodel"))


def test_axes_without_a_label_are_refused(own: Road) -> None:
    canvas = Figure()
    canvas.subplots().plot([1, 2], [3, 4])
    with pytest.raises(ValueError, match="have no label"):
        lab(own).figure("f", canvas, "title", "alt", "n", "seed")


def test_views_of_a_dataset(own: Road, tmp_path: Path) -> None:
    from caffefiles.datum import DatumLMDB
    from caffefiles.mean import read_mean

    parts = [half(tmp_path / f"half{which}", own.dataset, which) for which in (0, 1)]
    with DatumLMDB(own.dataset / "train_lmdb") as records:
        everything = {r.key: r for r in records}
    keys = []
    for part in parts:
        with DatumLMDB(part / "train_lmdb") as records:
            keys.append({r.key for r in records})
            assert np.bincount([everything[k].label for k in keys[-1]]).tolist() == [30] * 5
    assert not keys[0] & keys[1]
    assert keys[0] | keys[1] == set(everything)
    small = sized(tmp_path / "small", own.dataset, 16)
    with DatumLMDB(small / "train_lmdb") as records:
        for record in records:
            expected = shrink(everything[record.key].pixels, 16)
            assert np.array_equal(record.pixels, expected)
    assert read_mean(small / "mean.binaryproto").shape == (3, 16, 16)


def test_a_view_is_made_anew_when_its_data_or_its_code_change(own: Road, tmp_path: Path, monkeypatch: Any) -> None:
    small = sized(tmp_path / "small", own.dataset, 16)
    made = (small / "mean.binaryproto").stat().st_ino
    (small / "model").mkdir()
    sized(small, own.dataset, 16)
    assert ((small / "mean.binaryproto").stat().st_ino, (small / "model").exists()) == (made, True)
    monkeypatch.setattr(views, "code_of", lambda function: "other code")
    sized(small, own.dataset, 16)
    assert not (small / "model").exists()
    (small / "model").mkdir()
    (own.dataset / "synset_words.txt").write_text((own.dataset / "synset_words.txt").read_text() + "\n")
    sized(small, own.dataset, 16)
    assert not (small / "model").exists()
    assert (small / "synset_words.txt").read_text() == (own.dataset / "synset_words.txt").read_text()


def test_shrinking_averages_blocks() -> None:
    pixels = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4) * 5
    assert shrink(pixels, 2)[1].tolist() == [[92, 102], [132, 142]]
    with pytest.raises(FoolCaffeError, match="cannot be averaged to 3 × 3"):
        shrink(pixels, 3)


def test_the_command_line(own: Road) -> None:
    out = succeeds(run("study", "figures", "--dataset", own.dataset, "--quiet"))
    assert out.strip() == str(own.dataset / "study" / "report.html")
    folder = own.dataset / "study" / "figures"
    record = json.loads((folder / "record.json").read_text())
    claims = {c["key"]: c for c in record["findings"]["claims"]}
    assert claims["gradient"]["verdict"] == claims["numeric"]["verdict"] == "confirmed"
    assert record["seeds"] == [1, 2]
    assert record["versions"]["engine"].startswith(f"{ENGINE} 1.")
    rows = list(csv.DictReader((folder / "reached.csv").read_text().splitlines()))
    assert [r["start"] for r in rows] == ["validation images", "uniform noise"]
    before = {step: step.stat().st_mtime_ns for step in (folder / "steps").iterdir()}
    succeeds(run("study", "figures", "--dataset", own.dataset, "--quiet"))
    assert {step: step.stat().st_mtime_ns for step in (folder / "steps").iterdir()} == before
    assert json.loads((folder / "record.json").read_text()) == record


def test_mistakes_are_named(own: Road, tmp_path: Path) -> None:
    fails(run("study", "figure", "--dataset", own.dataset), "unknown part 'figure'", "did you mean 'figures'?")
    fails(run("study", "--dataset", tmp_path / "none"), "is no finished dataset: no train.txt", "make lmdb")
    fails(run("study", "--report-only", "--dataset", own.dataset), "nothing was measured yet")
    with locked(own.dataset / "study" / ".lock", "the test"):
        fails(run("study", "figures", "--dataset", own.dataset), "is being built by another process")
    assert not (own.dataset / "study" / "figures").exists()


@pytest.mark.slow
def test_ctrl_c_and_going_on(own: Road) -> None:
    arguments = [sys.executable, "-m", "foolcaffe.study", "accuracy", "--dataset", str(own.dataset)]
    child = subprocess.Popen(arguments, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if "training decay100-seed1" in line:
            break
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    rest = child.stderr.read()
    child.stderr.close()
    assert child.wait(60) == 130, rest
    first = own.dataset / "study" / "colours" / "decay0.0005-seed1" / "trained.json"
    before = first.stat().st_mtime_ns
    again = subprocess.Popen(arguments, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True)
    assert again.stderr is not None
    said = []
    for line in again.stderr:
        said.append(line)
        if "training decay100-seed2" in line:
            break
    again.send_signal(signal.SIGINT)
    again.stderr.read()
    again.stderr.close()
    assert again.wait(60) == 130
    assert first.stat().st_mtime_ns == before
    assert "training decay0.0005-seed1" not in "".join(said)
    assert "training decay100-seed1" in "".join(said)
