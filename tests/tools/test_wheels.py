"""The wheels in empty environments: torchcaffe without foolcaffe's packages trains; foolcaffe works from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest

from helpers import ENGINE, ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ENGINE != "torch", reason="about torchcaffe; run in .venv/bin/python"),
]
DISTRIBUTIONS = ("caffefiles", "torchcaffe", "foolcaffe")
ABSENT = ("foolcaffe", "scipy", "skimage", "sklearn", "matplotlib", "cv2", "h5py")

NET = """
name: "LeNet"
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.00390625 }
  data_param { source: "db" batch_size: 8 backend: LMDB } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 50 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1"
  inner_product_param { num_output: 500 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" random_seed: 1 display: 10 max_iter: 40
snapshot_prefix: "lenet"
"""
DATABASE = """
import importlib.util, lmdb, numpy, sys
for name in sys.argv[1:]:
    assert importlib.util.find_spec(name) is None, name
from caffefiles.proto import caffe_pb2
random = numpy.random.default_rng(1)
with lmdb.open("db", map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
    for i in range(60):
        image = random.integers(0, 60, (1, 28, 28), numpy.uint8)
        image[0, 8 * (i % 3) : 8 * (i % 3) + 8] += 150
        datum = caffe_pb2.Datum(channels=1, height=28, width=28, data=image.tobytes(), label=i % 3)
        transaction.put(b"%08d" % i, datum.SerializeToString())
"""
SCRIPT = """
import sys, torchcaffe
torchcaffe.install()
import caffe, numpy
solver = caffe.SGDSolver("solver.prototxt")
solver.net.copy_from("lenet_iter_40.caffemodel")
solver.step(1)
assert float(solver.net.blobs["loss"].data) < 0.2, solver.net.blobs["loss"].data
assert (solver.net.blobs["ip2"].data.argmax(1) == solver.net.blobs["label"].data).all()
assert solver.net.params["conv2"][0].data.shape == (50, 20, 5, 5)
strange = {m.split(".")[0] for m in sys.modules} & {"foolcaffe", "scipy", "skimage", "sklearn", "matplotlib"}
assert not strange, strange
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    for name in DISTRIBUTIONS:
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, ROOT / "packaging" / name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and "setuptools" in done.stderr:
            pytest.skip(f"no index to take setuptools from: {done.stderr[-200:]}")
        assert done.returncode == 0, done.stderr
    return folder


class Environment:
    """An empty virtual environment, and a folder of its own to work in."""

    def __init__(self, folder: Path, wheels: Path, requirement: str) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        self.folder = folder / "work"
        self.folder.mkdir()
        ours = ("PYTHON", "FOOLCAFFE", "GLOG", "VIRTUAL_ENV")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        self._environment = {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PATH": f"{folder}/venv/bin:{os.environ['PATH']}"}
        (folder / "torch.txt").write_text(f"torch=={metadata.version('torch').partition('+')[0]}\n")
        pip = ["python", "-m", "pip", "install", "--quiet", "--no-compile", "-c", str(folder / "torch.txt")]
        pip += ["--find-links", str(wheels), requirement]
        done = self.run(*pip, check=False)
        if done.returncode:
            pytest.skip(f"pip cannot install {requirement} here: {done.stderr[-300:]}")
        site = self.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        self.site = Path(site.stdout.strip())

    def run(self, *command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        words = [str(w) for w in command]
        done = subprocess.run(
            words, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False, timeout=900
        )
        assert not check or done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done

    def files(self) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in self.site.rglob("*") if path.is_file()}


def test_what_a_wheel_holds_and_needs(wheels: Path) -> None:
    needs = {
        "caffefiles": {"numpy", "protobuf", "lmdb"},
        "torchcaffe": {"caffefiles", "torch", "numpy", "protobuf", "lmdb"},
    }
    for name in DISTRIBUTIONS:
        with zipfile.ZipFile(next(wheels.glob(f"{name}-*.whl"))) as wheel:
            names = wheel.namelist()
            head = Parser().parsestr(wheel.read(next(n for n in names if n.endswith("METADATA"))).decode())
        required = [r for r in head.get_all("Requires-Dist") or [] if "extra ==" not in r]
        found = {r.split(";")[0].split(">")[0].split("=")[0].split("[")[0].strip() for r in required}
        assert {n.split("/")[0] for n in names} == {name, next(n.split("/")[0] for n in names if ".dist-info" in n)}
        assert found == needs.get(name, found)
        assert not found & {"torch"} or name == "torchcaffe"
        if name == "foolcaffe":
            models = {n.split("/")[2] for n in names if n.startswith("foolcaffe/models/")}
            assert models == {p.name for p in (ROOT / "models").iterdir()}
            assert "foolcaffe/explore/web/index.html" in names
            assert "caffefiles" in found


def test_torchcaffe_alone_trains_a_lenet_and_runs_a_pycaffe_script(wheels: Path, tmp_path: Path) -> None:
    alone = Environment(tmp_path, wheels, "torchcaffe")
    for name, text in (("net.prototxt", NET), ("solver.prototxt", SOLVER)):
        (alone.folder / name).write_text(text)
    alone.run("python", "-c", DATABASE, *ABSENT)
    trained = alone.run("torchcaffe", "train", "-solver", "solver.prototxt")
    assert "Optimization Done." in trained.stderr
    alone.run("python", "-c", SCRIPT)
    hdf5 = alone.run("python", "-c", "import torchcaffe.hdf5", check=False)
    assert "HDF5 needs the package h5py, which is not installed\n    pip install h5py" in hdf5.stderr


def test_foolcaffe_walks_its_road_in_an_empty_folder(wheels: Path, tmp_path: Path) -> None:
    other = Environment(tmp_path, wheels, "foolcaffe[torch]")
    before = other.files()

    def foolcaffe(module: str, *arguments: object) -> str:
        return other.run("python", "-m", f"foolcaffe.{module}", *arguments).stdout

    foolcaffe("datasets", "demo", "--out", "images")
    foolcaffe("lists", "images", "build/demo")
    for part in ("train", "val"):
        foolcaffe("lmdb", "build", "images", f"build/demo/{part}.txt", f"build/demo/{part}_lmdb", "--quiet")
    foolcaffe("lmdb", "mean", "build/demo/train_lmdb", "build/demo/mean.binaryproto", "--quiet")
    foolcaffe("validate", "dataset", "build/demo", "--quiet")
    foolcaffe("render", "--model", "linear_softmax", "--dataset", "build/demo", "--max-iter", 30, "--gpu", "cpu")
    foolcaffe("train", "build/demo/linear_softmax", "--gpu", "cpu", "--quiet")
    foolcaffe("fool", "--class", "rocket", "--image", "images/photos/astronaut.JPEG", "--flip")
    foolcaffe("toy")
    assert foolcaffe("explore", "--quiet").strip() == "build/demo/explorer.html"
    foolcaffe("verify", "--help")
    pngs = sorted(p.name for p in (other.folder / "build").rglob("*.png"))
    assert "linear_softmax-astronaut-to-rocket.png" in pngs
    assert "toy.png" in pngs

    own = ["images/train", "--dataset", "mine", "--max-iter", 30, "--gpu", "cpu", "--quiet"]
    assert other.run("foolcaffe", "train", *own).stdout.splitlines()[-1].endswith("build/mine/linear_softmax")
    fool = ["--model", "mine/linear_softmax", "--class", "moon", "--image", "images/photos/cat.JPEG", "--flip"]
    assert "verified on the PNG" in other.run("foolcaffe", "fool", *fool).stdout
    assert "moon" in other.run("foolcaffe", "classes").stdout
    assert other.files() == before
