# ruff: noqa: PT017 - a damaged file may also do no harm
"""Damaged files end in an error that names the file, or do no harm: no other exception, no hang, no crash."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from torchcaffe import pycaffe as caffe

SETTINGS = settings(
    derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NET = """name: "fuzzed" force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 7 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 } param { lr_mult: 2 }
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" dropout_param { dropout_ratio: 0.5 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 5 axis: 1 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" include { phase: TEST } }
"""
V1 = """input: "data" input_dim: 2 input_dim: 3 input_dim: 7 input_dim: 6
layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip" blobs_lr: 1 weight_decay: 1
         inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.1 } } }
layers { name: "prob" type: SOFTMAX bottom: "ip" top: "prob" }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.1 lr_policy: "step" stepsize: 10 gamma: 0.5 momentum: 0.9 max_iter: 3
type: "SGD" snapshot_prefix: "s" random_seed: 1 average_loss: 2 iter_size: 1 weight_decay: 0.1
"""
WORDS = [
    "layer",
    "{",
    "}",
    ":",
    '"',
    "data",
    "conv",
    "-1",
    "0",
    "9",
    "TEST",
    "top",
    "bottom",
    "name",
    "\x00",
    "é",
    "1e9",
]

cuts = st.builds(lambda at: lambda data: data[: int(at * len(data))], st.floats(0, 1))


def _flip(places: list[tuple[float, int]]) -> Any:
    def flipped(data: bytes) -> bytes:
        changed = bytearray(data)
        for at, bit in places:
            if changed:
                changed[min(int(at * len(changed)), len(changed) - 1)] ^= 1 << bit
        return bytes(changed)

    return flipped


flips = st.builds(_flip, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), min_size=1, max_size=4))
damages = st.one_of(cuts, flips)


@st.composite
def edited(draw: Any, text: str) -> str:
    """A prototxt with a word dropped, doubled or put elsewhere; or with bits flipped."""
    words = text.split(" ")
    for _ in range(draw(st.integers(1, 3))):
        i = draw(st.integers(0, len(words) - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0 and len(words) > 1:
            del words[i]
        elif kind == 1:
            words.insert(i, words[draw(st.integers(0, len(words) - 1))])
        elif kind == 2:
            words[i] = draw(st.sampled_from(WORDS))
        else:
            words = words[: i + 1]
    return " ".join(words)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def reasonable(text: str) -> bool:
    """Nets of terabytes are not what is tested here."""
    return all(len(word) < 4 for word in text.replace(":", " ").split() if word.isdigit())


def runs_or_says_why(path: str, make: Any) -> None:
    """``make`` either gives a net that runs, or raises an error that names the file."""
    try:
        net = make()
        net.forward()
        net.backward()
    except CaffeError as error:
        assert path in str(error) or "layer '" in str(error), error
    else:
        for blob in net.blobs.values():
            assert blob.data.size == math.prod(blob.shape)


@SETTINGS
@given(text=st.one_of(edited(NET), edited(V1)))
def test_edited_nets(text: str) -> None:
    if reasonable(text):
        Path("n.prototxt").write_text(text, encoding="utf-8")
        runs_or_says_why("n.prototxt", lambda: caffe.Net("n.prototxt", caffe.TEST))


@SETTINGS
@given(damage=damages, text=st.sampled_from([NET, V1]))
def test_damaged_nets(damage: Any, text: str) -> None:
    data = damage(text.encode())
    if reasonable(data.decode("latin-1")):
        Path("n.prototxt").write_bytes(data)
        runs_or_says_why("n.prototxt", lambda: caffe.Net("n.prototxt", caffe.TEST))


@settings(SETTINGS, max_examples=20)
@given(text=edited(SOLVER))
def test_edited_solvers(text: str) -> None:
    Path("net.prototxt").write_text(NET.replace("include { phase: TEST }", ""))
    Path("solver.prototxt").write_text(text, encoding="utf-8")
    try:
        solver = caffe.get_solver("solver.prototxt")
        solver.step(2)
    except CaffeError as error:
        assert "prototxt" in str(error) or "lr_policy" in str(error), error
    else:
        assert solver.iter == 2


@SETTINGS
@given(damage=damages)
def test_damaged_weights(damage: Any) -> None:
    Path("n.prototxt").write_text(NET)
    net = caffe.Net("n.prototxt", caffe.TEST)
    shapes = {name: [blob.shape for blob in blobs] for name, blobs in net.params.items()}
    net.save("w.caffemodel")
    whole = Path("w.caffemodel").read_bytes()
    Path("w.caffemodel").write_bytes(damage(whole))
    try:
        net.copy_from("w.caffemodel")
    except CaffeError as error:
        assert "w.caffemodel" in str(error)
    assert {name: [blob.shape for blob in blobs] for name, blobs in net.params.items()} == shapes
    net.forward()


@settings(SETTINGS, max_examples=20)
@given(damage=damages)
def test_damaged_hdf5_weights(damage: Any) -> None:
    Path("n.prototxt").write_text(NET)
    net = caffe.Net("n.prototxt", caffe.TEST)
    net.save_hdf5("w.h5")
    Path("w.h5").write_bytes(damage(Path("w.h5").read_bytes()))
    try:
        net.copy_from("w.h5")
    except CaffeError as error:
        assert "w.h5" in str(error)
    net.forward()


@settings(SETTINGS, max_examples=20)
@given(damage=damages)
def test_damaged_states(damage: Any) -> None:
    Path("net.prototxt").write_text(NET.replace("include { phase: TEST }", ""))
    Path("solver.prototxt").write_text(SOLVER)
    solver = caffe.get_solver("solver.prototxt")
    solver.step(1)
    solver.snapshot()
    Path("s_iter_1.solverstate").write_bytes(damage(Path("s_iter_1.solverstate").read_bytes()))
    try:
        solver.restore("s_iter_1.solverstate")
    except CaffeError as error:
        assert "s_iter_1" in str(error)


def database(name: str, values: list[bytes]) -> None:
    with lmdb.open(name, map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
        for i, value in enumerate(values):
            transaction.put(b"%08d" % i, value)


def datum(seed: int, encoded: bool) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 7, 6), dtype=np.uint8)
    if not encoded:
        made = caffe_pb2.Datum(channels=3, height=7, width=6, data=pixels.tobytes(), label=seed)
    else:
        import cv2

        made = caffe_pb2.Datum(
            data=cv2.imencode(".png", pixels.transpose(1, 2, 0))[1].tobytes(), label=seed, encoded=True
        )
    return bytes(made.SerializeToString())


DATA = (
    'layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "%s" batch_size: 4 backend: LMDB } }'
)


@settings(SETTINGS, max_examples=30)
@given(damage=damages, which=st.integers(0, 3), encoded=st.booleans(), number=st.integers(0, 10**9))
def test_damaged_records(damage: Any, which: int, encoded: bool, number: int) -> None:
    values = [datum(i, encoded) for i in range(4)]
    values[which] = damage(values[which])
    name = f"db{number}"
    if Path(name).exists():
        return
    database(name, values)
    Path("d.prototxt").write_text(DATA % name)
    try:
        net = caffe.Net("d.prototxt", caffe.TRAIN)
        net.forward()
    except CaffeError as error:
        assert name in str(error), error
        assert f"{which:08d}" in str(error) or "shape" in str(error), error
    else:
        assert net.blobs["data"].shape[1:] == (3, 7, 6)
        others = [i for i in range(4) if i != which]
        for i in others:
            pixels = np.random.default_rng(i).integers(0, 256, (3, 7, 6), dtype=np.uint8)
            assert np.array_equal(net.blobs["data"].data[i], pixels)
            assert net.blobs["label"].data[i] == i


@pytest.mark.parametrize("keep", [0, 100, 4096, 9000, 16384])
@pytest.mark.slow
def test_cut_databases(keep: int) -> None:
    """In a process of its own: what lies past the end of a mapped file ends a process."""
    database("db", [datum(i, False) for i in range(60)])
    file = Path("db/data.mdb")
    assert file.stat().st_size > keep
    file.write_bytes(file.read_bytes()[:keep])
    Path("d.prototxt").write_text(DATA % "db")
    code = (
        "from torchcaffe import pycaffe as caffe\nfrom caffefiles.errors import CaffeError\n"
        "try:\n  net = caffe.Net('d.prototxt', caffe.TRAIN)\n  [net.forward() for _ in range(16)]\n"
        "except CaffeError as error: print('said', error)"
    )
    root = str(Path(sys.modules["torchcaffe"].__file__ or "").parents[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": root})
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert "'db'" in done.stdout
