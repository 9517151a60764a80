"""Training with real Caffe: resuming, interrupting, diverging."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT, Road, environment, fails, run, succeeds

pytestmark = pytest.mark.usefixtures("programs")


@pytest.fixture
def fresh(road: Road, tmp_path: Path) -> Road:
    """The road with its model folder empty."""
    copy = road.copy(tmp_path)
    shutil.rmtree(copy.model)
    return copy


def render(road: Road, *arguments: object) -> None:
    succeeds(run("render", "--model", "linear_softmax", "--dataset", road.dataset, "--out", road.model, *arguments))


def weights(path: Path) -> np.ndarray:
    from caffefiles.caffemodel import read_weights

    return np.array(next(layer.blobs for layer in read_weights(path).layer if layer.blobs)[0].data)


def start(road: Road) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "foolcaffe.train", str(road.model)],
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(log: Path, words: str, child: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and child.poll() is None:
        if log.exists() and re.search(words, log.read_text(errors="replace")):
            return
        time.sleep(0.02)
    raise AssertionError(f"{words!r} never came; {child.poll()}")


def caffe_processes(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"-solver" in words and any(str(folder).encode() in w for w in words):
                found.append(int(entry.name))
    return found


def test_a_finished_run_has_record_log_plot(road: Road) -> None:
    record = json.loads((road.model / "trained.json").read_text())
    assert record["iterations"] == 60
    assert record["weight_decay"] == 100
    assert record["base_lr"] == 1e-7
    assert abs(record["first_loss"] - np.log(5)) <= 0.7
    assert record["test"]["top1"] > 0.5
    assert (road.model / "loss.png").stat().st_size > 5000
    assert "Optimization Done." in (road.model / "train.log").read_text()


def test_a_second_run_has_nothing_to_do(road: Road, tmp_path: Path) -> None:
    copy = road.copy(tmp_path)
    before = weights(next(copy.model.glob("*_iter_60.caffemodel")))
    succeeds(run("train", copy.model, "--quiet"))
    assert np.array_equal(weights(next(copy.model.glob("*_iter_60.caffemodel"))), before)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_a_snapshot_and_the_next_run_goes_on(fresh: Road, how: signal.Signals) -> None:
    render(fresh, "--max-iter", 1000)
    child = start(fresh)
    wait_for(fresh.model / "train.log", r"Iteration 50 ", child)
    child.send_signal(how)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "a snapshot of iteration" in said
    states = sorted(fresh.model.glob("*.solverstate"), key=lambda p: int(p.stem.rpartition("_")[2]))
    iteration = int(states[-1].stem.rpartition("_")[2])
    assert 50 <= iteration < 1000
    assert not (fresh.model / "trained.json").exists()
    done = run("train", fresh.model)
    succeeds(done)
    assert f"on from iteration {iteration} to 1000" in done.stderr
    assert json.loads((fresh.model / "trained.json").read_text())["resumed_from"] == iteration


@pytest.mark.parametrize("seconds", [0.02, 0.15, 0.4])
def test_an_interrupt_before_the_first_iteration_is_no_failure(fresh: Road, seconds: float) -> None:
    render(fresh, "--max-iter", 100000)
    child = start(fresh)
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("training "):
            break
    time.sleep(seconds)
    child.send_signal(signal.SIGINT)
    said = child.stderr.read()
    child.stderr.close()
    assert child.wait(60) == 130, said
    assert "the same command goes on from there" in said


def test_resume_equals_a_straight_run(fresh: Road) -> None:
    """The batch begins anew at a resume; with all images in one batch the two runs see the same data."""
    solver = fresh.model / "solver.prototxt"
    render(fresh, "--max-iter", 40)
    net = fresh.model / "train_val.prototxt"
    net.write_text(net.read_text().replace("batch_size: 256", "batch_size: 300"))
    succeeds(run("train", fresh.model, "--quiet"))
    straight = weights(next(fresh.model.glob("*_iter_40.caffemodel")))
    for path in (*fresh.model.glob("*_iter_[234]0.*"), fresh.model / "trained.json", fresh.model / "train.log"):
        if "_iter_20." not in path.name:
            path.unlink()
    text = solver.read_text()
    assert "max_iter: 40" in text
    done = run("train", fresh.model)
    succeeds(done)
    assert "on from iteration 20 to 40" in done.stderr
    resumed = weights(next(fresh.model.glob("*_iter_40.caffemodel")))
    assert np.linalg.norm(resumed - straight) <= 1e-6 * np.linalg.norm(straight)


def test_half_a_snapshot_is_not_used(road: Road, tmp_path: Path) -> None:
    copy = road.copy(tmp_path)
    (copy.model / "trained.json").unlink()
    for name in ("linear_softmax_iter_60.caffemodel", "linear_softmax_iter_45.solverstate"):
        path = copy.model / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    done = run("train", copy.model)
    succeeds(done)
    assert "on from iteration 30 to 60" in done.stderr
    assert done.stderr.count("not used:") == 2


def test_kill_9_of_the_trainer_ends_caffe_too_and_the_next_run_goes_on(fresh: Road) -> None:
    render(fresh, "--max-iter", 1200)
    child = start(fresh)
    wait_for(fresh.model / "train.log", r"Snapshotting solver state", child)
    child.kill()
    child.communicate()
    until = time.monotonic() + 30
    while caffe_processes(fresh.model) and time.monotonic() < until:
        time.sleep(0.05)
    assert caffe_processes(fresh.model) == []  # its next line met a closed pipe
    done = run("train", fresh.model)
    succeeds(done)
    assert re.search(r"on from iteration (300|600|900) to 1200", done.stderr)


def test_two_trainings_in_one_folder(fresh: Road) -> None:
    render(fresh, "--max-iter", 5000)
    child = start(fresh)
    try:
        wait_for(fresh.model / "train.log", r"Iteration 50 ", child)
        fails(run("train", fresh.model), "another training is at work")
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)


def test_a_rate_that_explodes_is_said_to_diverge(fresh: Road) -> None:
    render(fresh, "--max-iter", 60, "--base-lr", "0.01")
    done = run("train", fresh.model)
    fails(done, "the training diverged: the loss is", "lower base_lr")
    assert not (fresh.model / "trained.json").exists()
    assert (fresh.model / "loss.png").exists()


def test_an_init_that_is_too_large_is_warned_of(fresh: Road) -> None:
    render(fresh, "--max-iter", 20, "--std", "1")
    done = run("train", fresh.model)
    assert "the weights begin too large" in done.stderr
    assert "0.0001" in done.stderr


def test_caffes_own_failure_is_passed_on(fresh: Road) -> None:
    render(fresh, "--max-iter", 20)
    shutil.rmtree(fresh.dataset / "train_lmdb")
    fails(run("train", fresh.model), "caffe train failed", "Check failed")
    fails(run("train", fresh.dataset), "no SolverParameter at")
    (fresh.model / "solver.prototxt").write_text("base_lr: 1\nmax_itr: 5\n")
    fails(run("train", fresh.model), "solver.prototxt:2:", "did you mean 'max_iter'?")


def test_a_full_disk_loses_nothing(road: Road, tmp_path: Path) -> None:
    """A file size limit gives the same failure as a full disk: snapshots of 245 kB cannot be written."""
    copy = road.copy(tmp_path)
    for path in (copy.model / "trained.json", *copy.model.glob("*_iter_[46]*")):
        path.unlink()
    command = f"trap '' XFSZ; ulimit -f 200; exec {sys.executable} -m foolcaffe.train {copy.model}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=60
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not (copy.model / "trained.json").exists()
    done = run("train", copy.model)
    succeeds(done)
    assert "on from iteration 30" in done.stderr
    assert next(copy.model.glob("*_iter_60.caffemodel")).stat().st_size > 200 * 1024
