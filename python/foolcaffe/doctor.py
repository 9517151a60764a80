"""What is here and what is missing: engines, versions, GPU and whether a product on it is right, room for the dataset.

``make doctor`` or ``python -m foolcaffe.doctor``. It needs nothing but Python, so that it can say what else is missing.
The exit code is 1 if something stands in the way of ``make train`` with the engine, the GPU and the dataset chosen.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import foolcaffe
from foolcaffe import engine, gpu
from foolcaffe.engine import ROOT
from foolcaffe.errors import FoolCaffeError, run_cli
from foolcaffe.options import command_line

OK, NOTE, BAD = "ok", "note", "BAD"
PACKAGES = {
    "numpy": "numpy",
    "scikit-image": "skimage",
    "matplotlib": "matplotlib",
    "lmdb": "lmdb",
    "protobuf": "google.protobuf",
    "tqdm": "tqdm",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "threadpoolctl": "threadpoolctl",
    "jinja2": "jinja2",
    "opencv-python-headless": "cv2",
    "simplejpeg": "simplejpeg",
}
"""What foolcaffe needs beside the engine: pyproject's dependencies, and the names that they are imported by."""
PROGRAMS = ("caffe", "convert_imageset", "compute_image_mean")
IMAGES = {"demo": 6_000, "tiny-imagenet": 110_000, "imagenet": 1_331_167}
"""Training and validation images of each dataset (the demo's: about)."""
DOWNLOADS_MIB = {"demo": 0, "tiny-imagenet": 1_000, "imagenet": 0}
"""What getting it takes below data/: Tiny ImageNet's zip, and its files on 4 KiB blocks."""
RECORD_BYTES = 64 * 64 * 3 + 4096
"""Of one image in an LMDB: the pixels, and up to a page more."""
MODEL_MIB = 500
"""Snapshots, logs and figures of a few linear models: 47 MB a snapshot at 1000 classes."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ``state`` is ok, note (can be done without) or BAD; ``todo`` is what to do about it."""

    state: str
    what: str
    message: str
    todo: str = ""

    def __str__(self) -> str:
        todo = "".join(f"\n{'':19}→ {line}" for line in self.todo.splitlines())
        return f"{self.state:>4}  {self.what:<12} {self.message}{todo}"


def examine(dataset: str, images: str, asked_gpu: str) -> list[Finding]:
    """Look at everything; nothing is changed.

    Args:
        dataset: ``demo``, ``tiny-imagenet`` or ``imagenet``.
        images: where the images of the dataset are said to be, or empty.
        asked_gpu: ``auto``, ``cpu``, ``all``, or ids.
    """
    found = [
        Finding(OK, "foolcaffe", f"{foolcaffe.__version__} in {ROOT}, {platform.platform()}, {os.cpu_count()} cores")
    ]
    engines, python, name = find_engines()
    found += engines
    if python is not None:
        found.append(find_packages(python))
        command, programs = find_programs(python, name)
        found.append(programs)
        found.append(product(python, name, None))
        found += find_gpus(python, name, command, asked_gpu)
    found += find_room(dataset, images)
    return found


def find_engines() -> tuple[list[Finding], Path | None, str]:
    """Real Caffe and torchcaffe, in this Python, ``.caffe`` and ``.venv``; Python and name of the one to be used."""
    wanted = engine.wanted()
    pythons = [Path(sys.executable), ROOT / ".caffe" / "bin" / "python", ROOT / ".venv" / "bin" / "python"]
    pythons = [p for i, p in enumerate(pythons) if os.access(p, os.X_OK) and p not in pythons[:i]]
    probes = {
        "caffe": "import caffe; print(caffe.__version__, 'in', caffe.__path__[0])",
        "torch": "import torch, torchcaffe.pycaffe as c; print(c.__version__, 'on PyTorch', torch.__version__)",
    }
    ways = {"caffe": "make .caffe", "torch": "make .venv ENGINE=torch"}
    there: dict[str, tuple[Path, str]] = {}
    why: dict[str, str] = {}
    for name, code in probes.items():
        for python in pythons:
            done = _run([str(python), "-c", code])
            if done.returncode == 0:
                there[name] = python, done.stdout.strip()
                break
            why.setdefault(name, _last(done.stderr))
    use = wanted or next(iter(there), "")
    found = []
    for name in probes:
        label = f"engine {name}"
        if name in there:
            python, message = there[name]
            source = python.parents[1] / "SOURCE"
            origin = f" ({source.read_text('utf-8').splitlines()[0]})" if name == "caffe" and source.is_file() else ""
            found.append(Finding(OK, label, f"{message}{origin}, {python}" + (", in use" if name == use else "")))
        else:
            bad = name == wanted or not there
            found.append(Finding(BAD if bad else NOTE, label, f"not here: {why.get(name, 'no Python')}", ways[name]))
    return found, there[use][0] if use in there else None, use


def find_packages(python: Path) -> Finding:
    """The packages that foolcaffe needs, with their versions."""
    code = (
        "import importlib, json, sys\nout = {}\n"
        f"for name, module in {PACKAGES!r}.items():\n"
        "    try: m = importlib.import_module(module); out[name] = str(getattr(m, '__version__', 'there'))\n"
        "    except Exception as e: out[name] = None\n"
        "print(json.dumps(['.'.join(map(str, sys.version_info[:3])), out]))"
    )
    done = _run([str(python), "-c", code])
    if done.returncode != 0:
        return Finding(BAD, "packages", _last(done.stderr))
    version, versions = json.loads(done.stdout.splitlines()[-1])
    missing = [name for name, there in versions.items() if there is None]
    message = f"Python {version}, " + ", ".join(f"{name} {v or 'MISSING'}" for name, v in versions.items())
    return Finding(
        BAD if missing else OK, "packages", message, "`make .venv`, or pip install foolcaffe" if missing else ""
    )


def find_programs(python: Path, name: str) -> tuple[list[str], Finding]:
    """Caffe's command line with this engine: the command of ``caffe``, and whether all of them start."""
    commands = {}
    for program in PROGRAMS:
        if name == "torch":
            commands[program] = [str(python), "-m", f"torchcaffe.tools.{program}"]
            continue
        ours = ROOT / ".caffe" / "bin" / program
        if path := str(ours) if os.access(ours, os.X_OK) else shutil.which(program):
            commands[program] = [path]
    bad = [program for program in PROGRAMS if program not in commands]
    versions = ""
    for program, command in commands.items():
        done = _run([*command, "--version"])
        # gflags' programs end with 0 after --version; what cannot be loaded ends with 127
        if done.returncode != 0:
            bad.append(f"{program} ({_last(done.stderr)})")
        elif program == "caffe":
            versions = f": {_last(done.stdout)}"
    if bad:
        todo = "tools/install_caffe.sh --force" if name == "caffe" else "make .venv ENGINE=torch"
        return commands.get("caffe", []), Finding(BAD, "programs", f"do not run: {', '.join(bad)}", todo)
    return commands["caffe"], Finding(OK, "programs", f"{', '.join(PROGRAMS)} start{versions}")


def find_gpus(python: Path, name: str, command: list[str], asked: str) -> list[Finding]:
    """Each GPU with its driver, whether the engine can use it, and whether a product on it is right."""
    needed = asked not in ("auto", "cpu")
    gpus = gpu.driver_gpus()
    if not gpu.driver_is_loaded():
        if name == "caffe" and command and "CPU-only" not in gpu.why_not(command):
            todo = "in a container: --gpus all; or take a Caffe built without CUDA: in Docker --build-arg CAFFE=cpu"
            return [Finding(BAD, "GPU", f"no NVIDIA driver here, and {gpu.NEEDS_DRIVER}", todo)]
        todo = "in a container: --gpus all; else install NVIDIA's driver, or train on the CPU: GPU=cpu"
        return [Finding(BAD if needed else NOTE, "GPU", "no NVIDIA driver here: training is on the CPU", todo)]
    found = []
    for one in gpus:
        message = f"{one.index}: {one.name}, {one.memory_mib} MiB, {one.free_mib} free, driver {one.driver}"
        found.append(Finding(OK, "GPU", message + (f", compute capability {one.capability}" if one.capability else "")))
    if not gpus:
        found.append(Finding(NOTE, "GPU", "a driver is loaded, but nvidia-smi lists no GPU"))
    ids = [int(part) for part in asked.split(",") if part.isdigit()] or [one.index for one in gpus] or [0]
    for device in ids:
        message = gpu.why_not(command, device) if command else "caffe does not start"
        if message:
            cause, hint = gpu.explain(message) or (message, "nvidia-smi must list the GPU; or use the CPU: GPU=cpu")
            found.append(Finding(BAD if needed else NOTE, f"use of GPU {device}", cause, hint))
        elif asked != "cpu":
            found.append(product(python, name, device))
    return found


def product(python: Path, name: str, device: int | None) -> Finding:
    """Whether the engine's product on GPU ``device`` (None: the CPU) is right: in a process, for Caffe aborts."""
    where = "CPU" if device is None else f"GPU {device}"
    argument = "cpu" if device is None else str(device)
    command = [str(python), "-m", "foolcaffe.doctor", "--product", argument]
    done = _run(command, 300, FOOLCAFFE_ENGINE=name, FOOLCAFFE_ENTERED="1")
    if done.returncode == 0:
        return Finding(OK, "product", f"{where}: {_last(done.stdout)}")
    message = _last(done.stderr, fatal=True)
    cause, hint = (gpu.explain(done.stderr) if device is not None else None) or (message, "")
    todo = "\n".join(filter(None, [hint, message if cause != message else ""]))
    return Finding(BAD, "product", f"{where}: {cause}", todo)


def multiply(device: int | None) -> float:
    """Largest relative error of an InnerProduct layer, forward and backward, against float64.

    The sum of ``x W^T + b``, and the data and weight gradients: the three products that training consists of.
    """
    import numpy as np

    caffe = engine.caffe
    if device is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(device)
        caffe.set_mode_gpu()
    n, outputs, inputs = 37, 211, 4099
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.prototxt"
        path.write_text(
            'force_backward: true layer { name: "x" type: "Input" top: "x" '
            f"input_param {{ shape {{ dim: {n} dim: {inputs} }} }} }} "
            'layer { name: "y" type: "InnerProduct" bottom: "x" top: "y" '
            f"inner_product_param {{ num_output: {outputs} }} }}"
        )
        net = caffe.Net(str(path), caffe.TEST)
    rng = np.random.default_rng(7)
    x, w = rng.normal(size=(n, inputs)).astype(np.float32), rng.normal(size=(outputs, inputs)).astype(np.float32)
    b, d = rng.normal(size=outputs).astype(np.float32), rng.normal(size=(n, outputs)).astype(np.float32)
    net.blobs["x"].data[...] = x
    net.params["y"][0].data[...] = w
    net.params["y"][1].data[...] = b
    net.forward()
    y = net.blobs["y"].data.copy()
    net.blobs["y"].diff[...] = d
    net.backward()
    x64, w64, d64 = x.astype(np.float64), w.astype(np.float64), d.astype(np.float64)
    pairs: list[tuple[Any, Any]] = [
        (y, x64 @ w64.T + b),
        (net.blobs["x"].diff, d64 @ w64),
        (net.params["y"][0].diff, d64.T @ x64),
    ]
    return max(float(np.linalg.norm(got - right) / np.linalg.norm(right)) for got, right in pairs)


TOLERANCE = 1e-5
"""Relative, in the Frobenius norm: a float32 product of this size is about 3e-7 off, one in TF32 3e-4."""


def find_room(dataset: str, images: str) -> list[Finding]:
    """Whether ``build/`` and ``data/`` can be written and have room for the dataset, and its images are there."""
    found = []
    build, built = ROOT / "build", ROOT / "build" / dataset
    need = {build: MODEL_MIB}
    if not (built / "validated").exists():
        need[build] += IMAGES[dataset] * RECORD_BYTES >> 20
        if not images or Path(images).resolve().parent == ROOT / "data":
            need[ROOT / "data"] = 0 if (ROOT / "data" / dataset).is_dir() else DOWNLOADS_MIB[dataset]
            found += [Finding(BAD, "images", "IMAGENET= is not given", _ILSVRC)] if dataset == "imagenet" else []
        elif not (Path(images) / "train").is_dir():
            found.append(Finding(BAD, "images", f"no folder {Path(images) / 'train'}", _ILSVRC))
        else:
            found.append(Finding(OK, "images", f"{dataset} in {images}"))
    shared = len({_existing(folder).stat().st_dev for folder in need}) == 1  # then they share their room too
    for folder, mib in need.items():
        at = _existing(folder)
        if not os.access(at, os.W_OK):
            todo = "mend its permissions; in a container: mount a folder that is yours, and --user $(id -u):$(id -g)"
            found.append(Finding(BAD, "room", f"{at} cannot be written by this user", todo))
            continue
        free = shutil.disk_usage(at).free >> 20
        asked = sum(need.values()) if shared else mib
        message = f"{folder}: {free} MiB free, about {asked} needed for {dataset}"
        todo = f"make room, or let {folder} be a link to a folder on a larger disk"
        found.append(Finding(OK, "room", message) if free >= asked else Finding(BAD, "room", message, todo))
        if shared:
            break
    return found


_ILSVRC = "give the folder that holds train/<wnid>/ and val/: make doctor DATASET=imagenet IMAGENET=…"


def _existing(folder: Path) -> Path:
    """The nearest folder that is there, links followed."""
    while not folder.exists():
        folder = folder.parent
    return folder.resolve()


def _run(command: list[str], timeout: int = 120, **changes: str) -> subprocess.CompletedProcess[str]:
    return gpu.run_program(command, timeout, engine.child_environment(GLOG_minloglevel="2", **changes))


def _last(text: str, fatal: bool = False) -> str:
    """The last line that says something; with ``fatal`` glog's F line, where there is one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["nothing was said"]
    failed = [line for line in lines if line[0] == "F" and line[1:5].isdigit()] if fatal else []
    return failed[0] if failed else lines[-1]


def main(arguments: list[str]) -> int:
    """Parse, look, say."""
    parser = command_line("foolcaffe.doctor", __doc__, "gpu json")
    parser.add_argument("--dataset", choices=sorted(IMAGES), default="demo", help="that there must be room for")
    parser.add_argument("--images", default="", metavar="DIR", help="where its images are")
    parser.add_argument("--quiet", action="store_true", help="only what is BAD")
    parser.add_argument("--product", metavar="DEVICE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.product is not None:
        engine.quiet = True
        error = multiply(None if options.product == "cpu" else int(options.product))
        if not error <= TOLERANCE:
            raise FoolCaffeError(f"the product is WRONG: relative error {error:.1e}, {TOLERANCE:.0e} were expected")
        print(f"forward, data and weight gradient are right (relative error {error:.0e})")
        return 0
    found = examine(options.dataset, options.images, options.gpu)
    bad = sum(one.state == BAD for one in found)
    if options.json:
        print(json.dumps({"ok": not bad, "findings": [asdict(one) for one in found]}, indent=2, ensure_ascii=False))
    else:
        for one in found:
            if one.state == BAD or not options.quiet:
                print(one)
    return 1 if bad else 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.doctor")
