"""Parts on a real road: done once, going on after an interruption, failing alone; with real Caffe."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from foolcaffe.errors import FoolCaffeError
from foolcaffe.locks import locked
from foolcaffe.render import Overrides
from foolcaffe.study.lab import Lab
from foolcaffe.study.parts import PARTS
from foolcaffe.study.record import POST, Check, Claim
from foolcaffe.study.runner import Part, dataset_hashes, read_record, run_part
from foolcaffe.study.scale import SMALLEST
from foolcaffe.study.sources import sources_of
from foolcaffe.study.views import half, shrink, sized
from helpers import ENGINE, ROOT, Road, environment, fails, run, succeeds

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def own(road: Road, tmp_path: Path) -> Road:
    """A copy of the road."""
    return road.copy(tmp_path)


def good(lab: Lab) -> list[Claim]:
    value = lab.step("once", lambda: lab.scale.images)
    return [Claim("one", POST, "quote", f"{value}", [Check("value", value, "≥", 1.0)])]


def run_one(road: Road, part: Part, **options: object):
    return run_part("part", part, road.dataset, dataset_hashes(road.dataset), quiet=True, **options)  # type: ignore[arg-type]


def test_a_done_part_is_not_run_again_until_its_data_change(own: Road) -> None:
    calls = []

    def counted(lab: Lab) -> list[Claim]:
        calls.append(1)
        return good(lab)

    part = Part("Part", "About.", counted)
    first = run_one(own, part)
    assert run_one(own, part) == first
    assert len(calls) == 1
    assert run_one(own, part, again=True).findings == first.findings
    assert len(calls) == 2
    (own.dataset / "synset_words.txt").write_text((own.dataset / "synset_words.txt").read_text() + "\n")
    changed = run_one(own, part)
    assert len(calls) == 3
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
    done: list[int] = []
    stops = [2]

    def slow(lab: Lab) -> list[Claim]:
        for step in range(4):
            lab.step(str(step), lambda step=step: done.append(step))  # type: ignore[misc]
            if step in stops:
                stops.clear()
                raise KeyboardInterrupt
        return good(lab)

    with pytest.raises(KeyboardInterrupt):
        run_one(own, Part("Part", "About.", slow))
    assert not (own.dataset / "study" / "part" / "record.json").exists()
    run_one(own, Part("Part", "About.", slow))
    assert done == [0, 1, 2, 3]


def test_a_damaged_record_is_not_used(own: Road, capsys: pytest.CaptureFixture[str]) -> None:
    part = Part("Part", "About.", good)
    run_one(own, part)
    path = own.dataset / "study" / "part" / "record.json"
    path.write_text(path.read_text()[:-40])
    assert run_one(own, part).findings is not None
    assert "is damaged" in capsys.readouterr().err


def test_a_part_depends_on_its_own_code_alone() -> None:
    package = ROOT / "python" / "foolcaffe"

    def names(part: str) -> set[str]:
        return {str(f.relative_to(package)) for f in sources_of(package / "study" / "parts" / f"{part}.py")}

    assert names("camera") >= {"study/parts/camera.py", "study/common.py", "study/lab.py", "attacks/exact.py"}
    assert names("mitigations") >= {"study/robust.py", "study/letters.py", "study/climb.py", "attacks/iterated.py"}
    assert not names("camera") & names("hyperparameters") & {"study/parts/camera.py", "attacks/exact.py"}
    for part in PARTS:
        others = {f"study/parts/{other}.py" for other in PARTS if other != part}
        showing = {f"study/{name}.py" for name in ("report", "light", "runner", "__main__")}
        assert not names(part) & (others | showing), part


def test_what_a_module_imports_through_others_is_found(tmp_path: Path) -> None:
    module = tmp_path / "own.py"
    module.write_text("import json\nimport foolcaffe.study.robust\nfrom foolcaffe.study import views as v\n")
    found = sources_of(module)
    assert found[0] == module
    assert {f.name for f in found} >= {"own.py", "robust.py", "letters.py", "views.py", "square.py"}
    assert "report.py" not in {f.name for f in found}
    assert len(found) == len(set(found))


def lab(road: Road) -> Lab:
    return Lab(
        road.dataset,
        road.dataset / "study",
        "part",
        SMALLEST,
        "f",
        quiet=True,
    )


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
    from caffefiles.mean import read_mean
    from foolcaffe.datums import DatumLMDB

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
    before = (folder / "record.json").stat().st_mtime_ns
    succeeds(run("study", "figures", "--dataset", own.dataset, "--quiet"))
    assert (folder / "record.json").stat().st_mtime_ns == before


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
