"""The Makefile, in a checkout of its own that borrows the engines and can never change them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import ENGINE, MAKE, ROOT, borrow_environments, environment, fails, make_images

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("tools", "python", "models", "requirements", "packaging", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    borrow_environments(folder)
    (folder / "data").mkdir()
    return folder


def make(checkout: Path, *arguments: str, ok: bool | None = True, **changes: str) -> subprocess.CompletedProcess[str]:
    base = environment(PYTHONWARNINGS="default", **changes)
    for name in ("DATASET", "IMAGENET", "MODEL", "NAME", "MAKEFLAGS", "MAKELEVEL"):
        if name not in changes:
            base.pop(name, None)
    done = subprocess.run([*MAKE, *arguments], cwd=checkout, capture_output=True, text=True, env=base, timeout=300)
    assert ok is None or (done.returncode == 0) is ok, done.stdout + done.stderr
    return done


def test_imagenet_in_a_folder_from_jpegs_to_a_fooling_image(checkout: Path, tmp_path: Path) -> None:
    images = tmp_path / "ilsvrc"
    make_images(images, train=8, val=4)
    road = ["DATASET=imagenet", f"IMAGENET={images}", "MAX_ITER=30", "GPU=cpu"]
    make(checkout, "lmdb", "train", *road)
    built = checkout / "build" / "imagenet"
    record = json.loads((built / "linear_softmax" / "trained.json").read_text())
    assert record["iterations"] == 30
    make(checkout, "fool", "CLASS=ocean", "FOOL=--flip --start noise", *road)
    assert (built / "fool" / "linear_softmax-noise1-to-ocean.png").exists()

    files = {p: p.stat().st_mtime_ns for p in built.rglob("*") if p.is_file()}
    make(checkout, "lmdb", "train", *road)
    assert {p: p.stat().st_mtime_ns for p in built.rglob("*") if p.is_file()} == files
    again = make(checkout, "lmdb", "train", *(word for word in road if not word.startswith("MAX_ITER")))
    assert "Nothing to be done for 'train'" in again.stdout
    other = make(checkout, "train", "WEIGHT_DECAY=1000", *road, ok=False)  # the trained model must not pass for it
    assert "was trained with weight_decay 100, not 1000" in other.stderr
    assert {p: p.stat().st_mtime_ns for p in built.rglob("*") if p.is_file()} == files

    make(checkout, "train", "NAME=strong", "WEIGHT_DECAY=1000", *road)
    assert json.loads((built / "strong" / "trained.json").read_text())["weight_decay"] == 1000

    (checkout / "data" / "download.zip").write_bytes(b"x")
    make(checkout, "-o", ".caffe", "clean")
    assert not (checkout / "build").exists()
    assert (checkout / "data" / "download.zip").exists()


TEXT = """it's "1" $HOME $$ $(shell touch run) `touch run` $(touch run); touch run # * '; touch run; '"""


def test_quotes_and_dollars_reach_the_programs_and_nothing_runs(checkout: Path, tmp_path: Path) -> None:
    images = tmp_path / f"{TEXT}\n\ttouch run ü"
    make_images(images, train=6, val=2)
    words = (images / "synset_words.txt").read_text()
    (images / "synset_words.txt").write_text(words.replace("ocean", TEXT))
    picture = shutil.copy(images / "val" / "n01" / "val_0.JPEG", images / f"{TEXT}.JPEG")
    road = ["DATASET=imagenet", f"IMAGENET={images}", "MAX_ITER=30", "GPU=cpu"]
    make(checkout, "lmdb", "train", *road)
    make(checkout, "fool", f"CLASS={TEXT}", f"FOOL=--image {shlex.quote(str(picture))}", *road)
    (record,) = (checkout / "build" / "imagenet" / "fool").glob("*.json")
    assert TEXT in json.loads(record.read_text())["target"].values()

    more = f"{TEXT}\n\ttouch run"
    assert repr(more) in make(checkout, "fool", f"CLASS={more}", *road, ok=False).stderr
    assert TEXT in make(checkout, "fool", *road, ok=False, CLASS="n02", FOOL=f"--image {shlex.quote(TEXT)}").stderr
    fails(make(checkout, "fool", "CLASS=n01", "FOOL=--image 'open", *road, ok=False), "'open: No closing", code=2)
    assert "'1; touch run'" in make(checkout, "train", "NAME=z", "SEED=1; touch run", *road, ok=False).stderr
    tiny = ["-n", "lmdb", "DATASET=tiny-imagenet"]
    assert "foolcaffe.datasets" not in make(checkout, *tiny, f"TINY_IMAGENET={images}").stdout  # a folder: it is there
    assert "foolcaffe.datasets" in make(checkout, *tiny, f"TINY_IMAGENET={images}.zip").stdout
    assert not list(tmp_path.rglob("run"))


@pytest.mark.parametrize("way", ["command line", "environment"])
def test_make_itself_runs_nothing_of_what_is_given(checkout: Path, way: str) -> None:
    names = "CLASS DATASET ENGINE FOOL GPU IMAGENET IMAGES MODEL NAME OTHERS SEED SKIP_BAD STUDY TINY_IMAGENET TORCH"
    for name in (*names.split(), "WEIGHT_DECAY"):
        given = {"CLASS": "1", name: TEXT} if way == "environment" else {}
        for goal in ("fool", "explorer", "study"):
            for dataset in [] if name == "DATASET" else ["DATASET=tiny-imagenet"]:
                make(checkout, "-n", goal, dataset, *([] if given else ["CLASS=1", f"{name}={TEXT}"]), ok=None, **given)
    assert not list(checkout.rglob("run"))


def test_an_unreadable_image_stops_make_and_nothing_looks_finished(checkout: Path, tmp_path: Path) -> None:
    images = tmp_path / "ilsvrc"
    make_images(images, train=3, val=2)
    (images / "train" / "n02" / "train_1.JPEG").write_bytes(b"text")
    road = ["DATASET=imagenet", f"IMAGENET={images}"]
    done = make(checkout, "lmdb", *road, ok=False)
    assert "train/n02/train_1.JPEG" in done.stderr
    assert not (checkout / "build" / "imagenet" / "train_lmdb").exists()
    make(checkout, "lmdb", "SKIP_BAD=1", *road)
    assert (checkout / "build" / "imagenet" / "validated").exists()
    assert "train_1.JPEG" in (checkout / "build" / "imagenet" / "train_lmdb" / "bad_images.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lmdb", "DATASET=cifar"], "IMAGES= is missing"),
        (["lmdb", "DATASET=a/b"], "no name of a folder below build"),
        (["lmdb", "ENGINE=tensorflow"], "caffe or torch"),
        (["train", "NAME=two words"], "one word without slashes"),
        (["explorer", "OTHERS=a b;c"], "words without slashes"),
        (["train", "NAME=a/b"], "one word without slashes"),
        (["lmdb", "DATASET=imagenet"], "IMAGENET= is missing"),
        (["lmdb", "DATASET=imagenet", "IMAGENET=/no/such"], "no dataset folder at /no/such"),
        (["lmdb", "DATASET=tiny-imagenet", "TINY_IMAGENET=/no/such.zip"], "no zip at /no/such.zip"),
    ],
)
def test_wrong_variables_are_said(checkout: Path, arguments: list[str], said: str) -> None:
    assert said in make(checkout, *arguments, ok=False).stderr
    assert not list(checkout.glob("build/*/train_lmdb"))


def test_the_engine_that_built_a_dataset_goes_on_with_it(checkout: Path, tmp_path: Path) -> None:
    """Whatever is installed; real Caffe is never fetched because a later command does not say ENGINE=torch."""
    images = tmp_path / "ilsvrc"
    make_images(images, train=3, val=2)
    road = ["DATASET=imagenet", f"IMAGENET={images}"]
    engine = os.environ.get("FOOLCAFFE_ENGINE") or ENGINE
    other = "torch" if engine == "caffe" else "caffe"
    make(checkout, "lmdb", *road, ENGINE=engine)
    shutil.rmtree(checkout / (".venv" if engine == "caffe" else ".caffe"), ignore_errors=True)
    said = make(checkout, "lmdb", *road, ENGINE="").stdout.splitlines()[0]
    assert said == f"ENGINE={engine}, for it built build/imagenet; ENGINE={other} takes the other"
    assert "ENGINE=" not in make(checkout, "lmdb", *road, f"ENGINE={engine}").stdout

    python = f".{'caffe' if engine == 'caffe' else 'venv'}/bin/python"
    assert f"{python} -m foolcaffe.toy" in make(checkout, "-n", "toy", ENGINE="").stdout  # what is installed
    demo = make(checkout, "-n", "demo", ENGINE="").stdout
    assert f"Next: {python} -m foolcaffe.fool --class 1" in demo
    (checkout / "build" / "imagenet" / "engine").write_text(f"{other}\n")
    assert f"ENGINE={other}, for it built" in make(checkout, "-n", "lmdb", *road, ENGINE="").stdout
    (checkout / "build" / "imagenet" / "engine").write_text("tensorflow\n")
    assert "ENGINE=tensorflow is no engine" in make(checkout, "lmdb", *road, ENGINE="", ok=False).stderr


def test_help_names_every_target(checkout: Path) -> None:
    out = make(checkout, "help").stdout
    for target in ("demo", "test", "lint", "lmdb", "train", "fool", "templates", "explorer", "clean", "distclean"):
        assert f"\n  {target} " in out


@pytest.mark.parametrize("environment_folder", [".venv", ".caffe"])
def test_a_test_never_installs(checkout: Path, environment_folder: str) -> None:
    """Where pyproject.toml is newer than .venv, or .caffe is missing, make would install, but not in a test."""
    (checkout / "tools").unlink()
    (checkout / "tools").mkdir()
    for name in ("make_venv.sh", "install_caffe.sh"):
        (checkout / "tools" / name).write_text("#!/bin/sh\necho run >> installed\n")
        (checkout / "tools" / name).chmod(0o755)
    shutil.rmtree(checkout / environment_folder, ignore_errors=True)
    if environment_folder == ".venv":
        (checkout / ".venv").mkdir()
        (checkout / ".venv" / "READY").touch()
        os.utime(checkout / ".venv" / "READY", (1, 1))
    arguments = ["toy", f"ENGINE={'torch' if environment_folder == '.venv' else 'caffe'}"]
    make(checkout, *arguments, ok=False)
    assert not (checkout / "installed").exists()
    subprocess.run(["make", *arguments], cwd=checkout, capture_output=True, env=environment(), timeout=60, check=False)
    assert (checkout / "installed").exists()


def test_images_of_ones_own(checkout: Path, tmp_path: Path) -> None:
    """make lmdb train DATASET=mine IMAGES=folder; a class that is renamed builds anew what depends on it."""
    make_images(tmp_path / "made", train=5, val=1)
    images = tmp_path / "it's mine"
    (tmp_path / "made" / "train").rename(images)
    (images / "n01").rename(images / "red $HOME")
    mine = ["DATASET=mine", f"IMAGES={images}", "MAX_ITER=20", "GPU=cpu"]
    make(checkout, "lmdb", "train", *mine)
    built = checkout / "build" / "mine"
    assert (built / "synset_words.txt").read_text().splitlines()[-1] == "red_$HOME red $HOME"
    files = {p: p.stat().st_mtime_ns for p in built.rglob("*") if p.is_file() and p.name != "engine"}
    make(checkout, "lmdb", "train", *mine)
    assert {p: p.stat().st_mtime_ns for p in files} == files
    make(checkout, "fool", "DATASET=mine", "CLASS=red $HOME", "FOOL=--flip --start noise")

    (images / "red $HOME").rename(images / "crimson")
    make(checkout, "lmdb", "train", *mine)
    assert (built / "synset_words.txt").read_text().startswith("crimson crimson\n")
    assert (built / "linear_softmax" / "trained.json").stat().st_mtime_ns > files[built / "linear_softmax/trained.json"]
    assert (built / "old" / "1" / "linear_softmax" / "trained.json").exists()
    assert (built / "validated").exists()
