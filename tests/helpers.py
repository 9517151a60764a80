"""Helpers for tests: command lines, made images, a walked road."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
_shared = Path(os.environ.get("FOOLCAFFE_SHARED", ROOT.parent / "shared" / "data"))
SHARED = _shared if _shared.is_dir() else None


def _has(module: str) -> bool:
    """Can it be imported? A mere folder of that name (a namespace package) does not count."""
    found = importlib.util.find_spec(module)
    return found is not None and found.origin is not None


ENGINE = "caffe" if _has("caffe") else "torch" if _has("torch") else ""
"""What the tests of this Python run on: real Caffe, torchcaffe, or nothing."""
PROGRAMS = ("caffe", "convert_imageset", "compute_image_mean")
TORCH_PROGRAMS = all((ROOT / "python" / "torchcaffe" / "tools" / f"{name}.py").is_file() for name in PROGRAMS)
REAL_CAFFE = ENGINE == "caffe" or (ROOT / ".caffe" / "bin" / "caffe").is_file()
"""Is real Caffe on this machine, if only in another Python?"""
ROAD_ENGINE = ENGINE if ENGINE == "caffe" or (ENGINE and TORCH_PROGRAMS) else "caffe" if REAL_CAFFE else ""
"""Whose programs build LMDBs and train: this Python's engine's, else real Caffe's, whose files the other must read."""


ENVIRONMENTS = (".venv/READY", ".caffe/SOURCE", ".caffe/TESTS")
MAKE = ["make", *(word for target in ENVIRONMENTS for word in ("-o", target))]
"""make that never installs anything: the environments are as old as they are, whatever pyproject.toml says."""


def borrow_environments(folder: Path) -> None:
    """Give a checkout a .caffe and a .venv of its own that run the programs of ours; make may write into them."""
    for name, made in ((".caffe", "SOURCE"), (".venv", "READY")):
        if (ROOT / name / "bin").is_dir():
            (folder / name / "bin").mkdir(parents=True)
            for program in ("python", *PROGRAMS):
                wrapper = folder / name / "bin" / program
                if os.access(ROOT / name / "bin" / program, os.X_OK):
                    wrapper.write_text(f'#!/bin/sh\nexec "{ROOT}/{name}/bin/{program}" "$@"\n')
                    wrapper.chmod(0o755)
            shutil.copyfile(ROOT / name / made, folder / name / made)


def environment(engine: str = "", **changes: str) -> dict[str, str]:
    """This process's environment, with the checkout's packages, an engine (ours), and warnings as errors."""
    engine = engine or ENGINE or "caffe"
    base = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "FOOLCAFFE_ENGINE": engine, "ENGINE": engine}
    return {**base, "PYTHONWARNINGS": "error", **changes}


def run(module: str, *arguments: object, cwd: Path = ROOT, **changes: str) -> subprocess.CompletedProcess[str]:
    """``python -m foolcaffe.<module>``, output captured; no traceback may ever be printed."""
    command = [sys.executable, "-m", f"foolcaffe.{module}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment(**changes), timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def tool(name: str, *arguments: object, cwd: Path = ROOT, **changes: str) -> subprocess.CompletedProcess[str]:
    """``tools/<name>.sh``, output captured."""
    command = [str(ROOT / "tools" / f"{name}.sh"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment(**changes), timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def make(*arguments: str, engine: str = "") -> None:
    """``make`` in the checkout with the half of Tiny ImageNet as dataset: what is done is not done again."""
    assert SHARED is not None
    engine = engine or ROAD_ENGINE
    archive = f"TINY_IMAGENET={SHARED / 'tiny-imagenet-half.zip'}"
    command = [*MAKE, "-s", "-C", str(ROOT), "DATASET=tiny-imagenet", f"ENGINE={engine}", archive, *arguments]
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / ".tests.lock").open("w") as lock:  # another worker of the tests may want the same
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = environment(engine, PYTHONWARNINGS="default")
        done = subprocess.run(command, capture_output=True, text=True, env=base, timeout=1500)
    assert done.returncode == 0, done.stderr


def fails(done: subprocess.CompletedProcess[str], *said: str, code: int = 1) -> None:
    """The command failed with this exit code, and its message says these words."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    for words in said:
        assert words in done.stderr, (words, done.stderr)


def succeeds(done: subprocess.CompletedProcess[str]) -> str:
    """The command succeeded; its standard output."""
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout


CLASSES = ["n01 crimson, red", "n02 meadow, grass green", "n03 ocean", "n04 dusk, evening", "n05 sand"]
COLOURS = np.array([[200, 40, 50], [60, 170, 60], [40, 80, 190], [70, 50, 90], [220, 190, 130]])


def make_images(root: Path, train: int, val: int, seed: int = 3) -> None:
    """JPEGs in ILSVRC's layout: a colour a class with strong noise, every image of its own size."""
    rng = np.random.default_rng(seed)
    for part, count in (("train", train), ("val", val)):
        for label, line in enumerate(CLASSES):
            folder = root / part / line.split()[0]
            folder.mkdir(parents=True)
            for index in range(count):
                height, width = int(rng.integers(40, 90)), int(rng.integers(40, 90))
                pixels = COLOURS[label] + rng.normal(0, 60, (height, width, 3))
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
                    folder / f"{part}_{index}.JPEG", quality=90
                )
    (root / "synset_words.txt").write_text("".join(f"{line}\n" for line in CLASSES))


@dataclass(frozen=True)
class Road:
    """A walked road: ``images`` (JPEGs), ``dataset`` (lists, LMDBs, mean), ``model`` (trained)."""

    images: Path
    dataset: Path
    model: Path

    @classmethod
    def walk(cls, folder: Path) -> Road:
        """Walk it with the shell tools and an engine's programs."""
        engine = {"ENGINE": ROAD_ENGINE, "FOOLCAFFE_ENGINE": ROAD_ENGINE}
        images, dataset = folder / "images", folder / "build" / "colours"
        make_images(images, train=60, val=12)
        succeeds(tool("make_lists", images, dataset, **engine))
        for part in ("train", "val"):
            succeeds(tool("create_lmdb", images, dataset / f"{part}.txt", dataset / f"{part}_lmdb", **engine))
        succeeds(tool("make_mean", dataset / "train_lmdb", dataset / "mean.binaryproto", **engine))
        succeeds(tool("validate_lmdb", dataset, **engine))
        model = dataset / "linear_softmax"
        render = ["--model", "linear_softmax", "--dataset", dataset, "--out", model, "--max-iter", 60]
        succeeds(run("render", *render, **engine))
        succeeds(run("train", model, "--quiet", **engine))
        return cls(images, dataset, model)

    def copy(self, folder: Path) -> Road:
        """A copy that a test may spoil."""
        shutil.copytree(self.dataset, folder / "build" / "colours")
        dataset = folder / "build" / "colours"
        for file in (dataset / "linear_softmax").glob("*.prototxt"):
            file.write_text(file.read_text().replace(str(self.dataset), str(dataset)))
        return Road(self.images, dataset, dataset / "linear_softmax")
