"""The doctor: what it finds here, and what it says where something is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from foolcaffe import doctor, gpu
from foolcaffe.doctor import BAD, NOTE, OK, Finding
from helpers import ROOT, fails, run, succeeds


def states(found: list[Finding], what: str) -> list[str]:
    return [one.state for one in found if one.what == what]


def test_a_finding_is_a_line_and_what_to_do_below() -> None:
    text = str(Finding(BAD, "GPU", "none", "one way\nanother"))
    first, *below = text.splitlines()
    assert first == " BAD  GPU          none"
    assert [line.strip() for line in below] == ["→ one way", "→ another"]


def test_here_everything_is_well(engine: str) -> None:
    done = run("doctor", "--gpu", "cpu", "--json")
    said = json.loads(succeeds(done))
    found = [Finding(**one) for one in said["findings"]]
    assert said["ok"] is True
    assert states(found, f"engine {engine}") == [OK]
    assert states(found, "packages") == [OK]
    assert states(found, "programs") == [OK]
    (product,) = (one.message for one in found if one.what == "product")
    assert product.startswith("CPU: forward, data and weight gradient are right")
    assert set(states(found, "room")) == {OK}
    assert succeeds(run("doctor", "--gpu", "cpu", "--quiet")) == ""


@pytest.mark.usefixtures("engine")
def test_a_gpu_that_is_asked_for_and_is_not_here_is_bad() -> None:
    if gpu.driver_is_loaded():
        pytest.skip("there is a GPU here")
    done = run("doctor", "--gpu", "0")
    assert done.returncode == 1, done.stdout
    assert " BAD  GPU          no NVIDIA driver here" in done.stdout
    assert "--gpus all" in done.stdout
    assert states(doctor.find_gpus(Path(sys.executable), "caffe", [], "auto"), "GPU") == [NOTE]


@pytest.mark.usefixtures("engine")
def test_the_product_is_right_and_a_wrong_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from foolcaffe.engine import caffe

    error = doctor.multiply(None)
    assert 0 < error <= doctor.TOLERANCE / 10
    real = caffe.Net

    class Rounding:
        """A net whose product is as TF32 leaves it: inputs rounded to ten bits."""

        def __init__(self, *arguments: object) -> None:
            self.net = real(*arguments)
            self.blobs, self.params = self.net.blobs, self.net.params
            self.backward = self.net.backward

        def forward(self) -> None:
            for data in (self.blobs["x"].data, self.params["y"][0].data):
                bits = data.view("uint32")
                bits[...] = (bits + np.uint32(1 << 12)) & np.uint32(0xFFFFFFFF << 13 & 0xFFFFFFFF)
            self.net.forward()

    monkeypatch.setattr(doctor.engine.load(), "Net", Rounding)
    assert doctor.multiply(None) > 10 * doctor.TOLERANCE


def test_a_gpus_failure_is_explained(tmp_path: Path) -> None:
    """A Python that dies as Caffe does: no machine of ours has a GPU too new."""
    python = tmp_path / "python"
    fatal = (
        "F1120 20:00:02.1 17 im2col.cu:61] Check failed: error == cudaSuccess (209 vs. 0)  no kernel image is available"
    )
    python.write_text(f"#!/bin/sh\necho '{fatal}' >&2\necho '*** Check failure stack trace: ***' >&2\nexit 134\n")
    python.chmod(0o755)
    found = doctor.product(python, "caffe", 1)
    assert found.state == BAD
    assert found.message == "GPU 1: the GPU is too new (or too old) for this Caffe"
    assert "ENGINE=torch" in found.todo
    assert fatal in found.todo


def test_a_caffe_with_cuda_cannot_train_without_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "DEVICE_NODES", (tmp_path / "absent",))
    caffe = tmp_path / "caffe"
    said = "F1120 20:00:02.1 17 common.cpp:152] Check failed: error == cudaSuccess (35 vs. 0)  CUDA driver version is …"
    caffe.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 134\n")
    caffe.chmod(0o755)
    (found,) = doctor.find_gpus(Path(sys.executable), "caffe", [str(caffe)], "auto")
    assert found.state == BAD
    assert "even to train on the CPU" in found.message
    assert "CAFFE=cpu" in found.todo


def test_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    free = 30_000 << 20
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2 * free, free, free))
    images = tmp_path / "ilsvrc"
    (images / "train").mkdir(parents=True)
    found = doctor.find_room("imagenet", str(images))
    assert [(one.state, one.what) for one in found] == [(OK, "images"), (OK, "room")]
    assert "30000 MiB free, about 21299 needed for imagenet" in found[1].message

    free = 20_000 << 20
    assert states(doctor.find_room("imagenet", str(images)), "room") == [BAD]
    assert states(doctor.find_room("demo", ""), "room") == [OK]
    assert states(doctor.find_room("imagenet", ""), "images") == [BAD]
    assert states(doctor.find_room("imagenet", str(tmp_path / "none")), "images") == [BAD]

    (tmp_path / "build" / "imagenet").mkdir(parents=True)
    (tmp_path / "build" / "imagenet" / "validated").touch()  # what is built needs no room any more, nor the images
    assert [(one.state, one.what) for one in doctor.find_room("imagenet", "")] == [(OK, "room")]


def test_the_downloads_and_the_lmdbs_share_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    (found,) = doctor.find_room("tiny-imagenet", str(tmp_path / "data" / "tiny-imagenet"))
    lmdbs = 110_000 * (64 * 64 * 3 + 4096) >> 20
    assert f"about {500 + lmdbs + 1000} needed" in found.message
    (tmp_path / "data" / "tiny-imagenet").mkdir(parents=True)
    (found,) = doctor.find_room("tiny-imagenet", str(tmp_path / "data" / "tiny-imagenet"))
    assert f"about {500 + lmdbs} needed" in found.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write anywhere")
def test_a_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    (tmp_path / "build").mkdir(mode=0o555)
    found = next(one for one in doctor.find_room("demo", "") if one.state == BAD)
    assert found.what == "room"
    assert f"{tmp_path / 'build'} cannot be written" in found.message
    assert "--user" in found.todo


def test_it_needs_nothing_but_python_and_names_what_is_missing(tmp_path: Path) -> None:
    """A checkout without environments, in a Python without packages."""
    (tmp_path / "python").mkdir()
    for package in ("caffefiles", "foolcaffe"):
        shutil.copytree(ROOT / "python" / package, tmp_path / "python" / package)
    command = [sys.executable, "-I", "-S", "-c"]
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'python')!r}); sys.argv = ['doctor']\n"
        "import foolcaffe.doctor as d, pathlib\n"
        "run = d._run\n"
        "d._run = lambda command, *a, **changes: run([command[0], '-I', '-S', *command[1:]], *a, **changes)\n"
        "sys.exit(d.main([]))"
    )
    base = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run([*command, code], capture_output=True, text=True, env=base, timeout=60)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert " BAD  engine caffe not here: ModuleNotFoundError: No module named 'caffe'" in done.stdout
    assert "→ make .caffe" in done.stdout
    assert " BAD  engine torch not here" in done.stdout
    assert "→ make .venv ENGINE=torch" in done.stdout


def test_an_engine_that_is_wanted_and_missing_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOLCAFFE_ENGINE", "torch")
    monkeypatch.setattr(doctor, "_run", lambda *a: subprocess.CompletedProcess(a, 1, "", "ImportError: no torch"))
    found, python, name = doctor.find_engines()
    assert (python, name) == (None, "torch")
    assert states(found, "engine torch") == [BAD]


def test_a_bad_option() -> None:
    fails(run("doctor", "--dataset", "cifar"), "invalid choice", code=2)
    done = run("doctor", FOOLCAFFE_ENGINE="tensorflow")
    fails(done, "FOOLCAFFE_ENGINE='tensorflow' is no engine")
