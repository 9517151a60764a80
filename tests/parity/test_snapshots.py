"""Snapshots: real Caffe goes on from ours and we from its; a resumed run equals a straight one; damage is refused."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from programs import caffe, needs_caffe, ours
from training import LINEAR, LOGGED_NET, prepare_logged, write_db, write_prototxts

from caffefiles import prototxt
from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from torchcaffe.solvers.registry import SOLVERS, Solver, get_solver

NET = (
    'layer { name: "d" type: "Data" top: "x" top: "t" data_param { source: "db" backend: LMDB batch_size: 23 }'
    " transform_param { mean_value: 120 scale: 0.0078125 } }" + LINEAR
)
"""All 23 records are a batch: the data begin anew at a resume, and then a resumed run sees what a straight one sees."""
PARAMS = {
    "SGD": "momentum: 0.9",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "",
    "RMSProp": "rms_decay: 0.95",
    "AdaDelta": "momentum: 0.95 delta: 1e-6",
    "Adam": "momentum: 0.9 momentum2: 0.999",
}
FORMATS = {"BINARYPROTO": "", "HDF5": ".h5"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_db(tmp_path)
    return tmp_path


def write_solver(folder: Path, kind: str, stored: str, extra: str = "snapshot: 6") -> Path:
    return write_prototxts(
        folder,
        NET,
        f'type: "{kind}" {PARAMS[kind]} base_lr: 0.01 lr_policy: "multistep" gamma: 0.5 stepvalue: 4 stepvalue: 9'
        f' random_seed: 5 max_iter: 13 snapshot_prefix: "s" snapshot_format: {stored} {extra}',
    )


def numbers(iteration: int, ending: str) -> tuple[list[Any], list[Any], int]:
    """Weights, histories and current_step of a snapshot, read without our own code where it is HDF5."""
    if ending:
        with (
            h5py.File(f"s_iter_{iteration}.caffemodel.h5") as model,
            h5py.File(f"s_iter_{iteration}.solverstate.h5") as state,
        ):
            history = [state["history"][str(i)][()] for i in range(len(state["history"]))]
            assert int(state["iter"][0]) == iteration
            assert state["learned_net"][()].split(b"\0")[0] == f"s_iter_{iteration}.caffemodel.h5".encode()
            return [model["data/fc"][i][()] for i in "01"], history, int(state["current_step"][0])
    model = prototxt.read_binary(f"s_iter_{iteration}.caffemodel", caffe_pb2.NetParameter())
    state = prototxt.read_binary(f"s_iter_{iteration}.solverstate", caffe_pb2.SolverState())
    assert (state.iter, state.learned_net) == (iteration, f"s_iter_{iteration}.caffemodel")
    blobs = next(layer.blobs for layer in model.layer if layer.name == "fc")
    arrays = [[np.array(blob.data).reshape(tuple(blob.shape.dim)) for blob in side] for side in (blobs, state.history)]
    return arrays[0], arrays[1], state.current_step


def difference(a: list[Any], b: list[Any]) -> float:
    assert [x.shape for x in a] == [x.shape for x in b]
    return max(float(np.linalg.norm(x - y) / np.linalg.norm(y)) for x, y in zip(a, b))


@needs_caffe
@pytest.mark.parametrize("stored", FORMATS)
@pytest.mark.parametrize("kind", PARAMS)
def test_each_goes_on_from_the_others_snapshot(kind: str, stored: str, folder: Path) -> None:
    solver, ending = write_solver(folder, kind, stored), FORMATS[stored]
    state = f"s_iter_6.solverstate{ending}"
    assert caffe("caffe", "train", "-solver", solver).returncode == 0
    theirs = {n: numbers(n, ending) for n in (6, 13)}
    get_solver(solver).solve(state)  # ours, from theirs
    assert difference(numbers(13, ending)[0], theirs[13][0]) <= 1e-6
    get_solver(solver).solve()
    own = {n: numbers(n, ending) for n in (6, 13)}
    for n in (6, 13):
        assert difference(own[n][0], theirs[n][0]) <= 1e-6
        assert difference(own[n][1], theirs[n][1]) <= 2e-5
        assert own[n][2] == theirs[n][2]
    assert own[13][2] == 2
    real = caffe("caffe", "train", "-solver", solver, "-snapshot", state)  # theirs, from ours
    assert real.returncode == 0, real.stderr
    assert difference(numbers(13, ending)[0], own[13][0]) <= 1e-6


@pytest.mark.parametrize("stored", FORMATS)
@pytest.mark.parametrize("kind", PARAMS)
def test_a_resumed_run_equals_a_straight_one(kind: str, stored: str, folder: Path) -> None:
    solver = write_solver(folder, kind, stored)
    get_solver(solver).solve()
    straight = numbers(13, FORMATS[stored])
    get_solver(solver).solve(f"s_iter_6.solverstate{FORMATS[stored]}")
    resumed = numbers(13, FORMATS[stored])
    for a, b in zip(straight[0] + straight[1], resumed[0] + resumed[1]):
        assert np.array_equal(a, b)


def test_the_record_order_begins_anew_at_a_resume(folder: Path) -> None:
    """As in Caffe, whose data layers do not know where a run has stopped."""
    path = write_solver(folder, "SGD", "BINARYPROTO")
    (folder / "net.prototxt").write_text(NET.replace("batch_size: 23", "batch_size: 7"))
    first = get_solver(path)
    first.step(1)
    batch = first.net.blob("x").array.copy()
    first.step(5)
    resumed = get_solver(path)
    resumed.restore("s_iter_6.solverstate")
    assert resumed.iter == 6
    resumed.step(1)
    assert np.array_equal(resumed.net.blob("x").array, batch)


def test_snapshot_diff_and_shared_parameters_in_hdf5(folder: Path) -> None:
    net = LINEAR.replace('top: "fc" param { lr_mult: 1 }', 'top: "fc" param { name: "w" }')
    twin = (
        'layer { name: "fc2" type: "InnerProduct" bottom: "x" top: "fc2" param { name: "w" }'
        " inner_product_param { num_output: 5 } }"
    )
    solver = write_solver(folder, "SGD", "HDF5", "snapshot_diff: true")
    (folder / "net.prototxt").write_text(NET.replace(LINEAR, net) + twin)
    trained = get_solver(solver)
    trained.step(2)
    trained.snapshot()
    with h5py.File("s_iter_2.caffemodel.h5") as file:
        assert sorted(file) == ["data", "diff"]
        assert {name: sorted(group) for name, group in file["data"].items() if len(group)} == {
            "fc": ["0", "1"],
            "fc2": ["1"],
        }
        assert np.array_equal(file["diff/fc/0"][()], trained.net.layer("fc").blobs[0].diff_array)
    again = get_solver(solver)
    again.restore("s_iter_2.solverstate.h5")
    assert np.array_equal(again.net.layer("fc2").blobs[0].array, trained.net.layer("fc").blobs[0].array)


def state_of(solver: Solver) -> list[Any]:
    return [solver.iter, *(h.clone() for h in solver.history), *(b.array.copy() for b in solver.net.params.learnable)]


@pytest.mark.parametrize("stored", FORMATS)
def test_what_is_damaged_or_of_another_net_is_refused_and_changes_nothing(stored: str, folder: Path) -> None:
    ending = FORMATS[stored]
    path = write_solver(folder, "SGD", stored)
    get_solver(path).solve()
    state, model = Path(f"s_iter_6.solverstate{ending}"), Path(f"s_iter_6.caffemodel{ending}")
    whole = {file: file.read_bytes() for file in (state, model)}
    solver = get_solver(path)
    before = state_of(solver)

    def refused(match: str, of: Solver = solver) -> None:
        with pytest.raises(CaffeError, match=match):
            of.restore(state)

    state.write_bytes(whole[state][: len(whole[state]) // 2])
    refused("HDF5 file" if ending else "no binary SolverState")
    state.write_bytes(b"")
    refused("HDF5 file" if ending else "Incorrect length of history")
    state.write_bytes(whole[state])
    model.unlink()
    refused(f"no file '{model}', which holds its weights")
    model.write_bytes(whole[model][: len(whole[model]) // 3])
    refused("HDF5 file" if ending else "no binary NetParameter")
    model.write_bytes(whole[model])
    for old, new in zip(before, state_of(solver)):
        assert np.array_equal(old, new)
    text = (folder / "net.prototxt").read_text()
    (folder / "net.prototxt").write_text(text.replace("num_output: 5", "num_output: 6"))
    refused("history 0", get_solver(path))
    (folder / "net.prototxt").write_text(text)
    path.write_text(path.read_text().replace('type: "SGD"', 'type: "Adam"'))
    refused("Incorrect length of history blobs: 2, this solver .Adam. has 4", get_solver(path))
    with pytest.raises(CaffeError, match="nowhere"):
        solver.restore(f"nowhere.solverstate{ending}")


@pytest.mark.parametrize("stored", FORMATS)
def test_a_full_disk_leaves_the_last_snapshot_whole(stored: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write itself fails, as on a full disk, after half of it."""
    ending = FORMATS[stored]
    solver = get_solver(write_solver(folder, "SGD", stored, ""))
    solver.step(1)
    solver.snapshot()
    files = {path.name: path.read_bytes() for path in folder.glob("s_iter_*")}
    assert len(files) == 2

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("caffefiles.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        solver.snapshot()
    assert {path.name: path.read_bytes() for path in folder.glob("s_iter_*")} == files
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert f"s_iter_1.caffemodel{ending}" in files


def test_a_prefix_that_cannot_be_written_is_said_before_the_training(folder: Path) -> None:
    path = write_solver(folder, "SGD", "BINARYPROTO")
    path.write_text(path.read_text().replace('snapshot_prefix: "s"', 'snapshot_prefix: "no/where/s"'))
    with pytest.raises(CaffeError, match="Cannot write to snapshot prefix 'no/where/s'"):
        get_solver(path)


@needs_caffe
def test_weights_finetune_in_both_directions(folder: Path) -> None:
    """``-weights`` of several files, binary and HDF5, for train and test nets; another layer name is passed over."""
    solver = prepare_logged(folder)
    assert ours("caffe", "train", "-solver", solver).returncode == 0
    solver.write_text(solver.read_text() + "snapshot_format: HDF5")
    assert ours("caffe", "train", "-solver", solver, "-weights", "s_iter_5.caffemodel").returncode == 0
    (folder / "net.prototxt").write_text(LOGGED_NET.replace('"fc"', '"fc2"', 1))
    solver.write_text(solver.read_text().replace('snapshot_prefix: "s"', 'snapshot_prefix: "other"'))
    for weights in ("s_iter_5.caffemodel, s_iter_10.caffemodel.h5", "s_iter_12.caffemodel.h5"):
        runs = [run("caffe", "train", "-solver", solver, f"-weights={weights}") for run in (caffe, ours)]
        said = [[line.partition("] ")[2] for line in run.stderr.splitlines() if "Ignoring" in line] for run in runs]
        assert said[0] == said[1]
        assert said[0]
        losses = [[line.partition(" = ")[2] for line in run.stderr.splitlines() if "Test loss" in line] for run in runs]
        assert losses[0] == losses[1]


def test_every_solver_refuses_what_it_cannot_use(folder: Path) -> None:
    assert set(PARAMS) == set(SOLVERS)
    for kind, extra, match in (
        ("AdaGrad", "momentum: 0.5", "Momentum cannot be used with AdaGrad"),
        ("RMSProp", "momentum: 0.5", "Momentum cannot be used with RMSProp"),
        ("SGD", 'regularization_type: "L3"', "known: L1, L2"),
        ("SGD", "iter_size: 0", "iter_size 0 must be at least 1"),
        ("SGD", "average_loss: 0", "average_loss 0 must be at least 1"),
    ):
        with pytest.raises(CaffeError, match=match):
            get_solver(write_solver(folder, kind, "BINARYPROTO", extra))
    path = write_solver(folder, "RMSProp", "BINARYPROTO")
    path.write_text(path.read_text().replace("rms_decay: 0.95", "rms_decay: 1"))
    with pytest.raises(CaffeError, match="rms_decay 1 should lie between 0 and 1"):
        get_solver(path)
    path.write_text(path.read_text().replace('type: "RMSProp"', 'type: "AdamW"'))
    with pytest.raises(CaffeError, match="did you mean 'Adam'"):
        get_solver(path)


@pytest.mark.parametrize(
    ("policy", "match"),
    [
        ('"stepp"', "did you mean 'step'"),
        ('"step" gamma: 0.5', "needs a stepsize"),
        ('"exp" gamma: -1', "gamma -1 is negative"),
        ('"poly" max_iter: 0', "needs a max_iter"),
    ],
)
def test_a_policy_that_lacks_something_is_refused(policy: str, match: str, folder: Path) -> None:
    path = write_prototxts(folder, NET, f'base_lr: 0.1 random_seed: 1 snapshot_prefix: "s" lr_policy: {policy}')
    with pytest.raises(CaffeError, match=match):
        get_solver(path).step(1)
