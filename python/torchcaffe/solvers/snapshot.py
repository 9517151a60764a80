"""Snapshots ``<prefix>_iter_N.caffemodel`` and ``.solverstate`` (with ``.h5``: HDF5), in real Caffe's formats.

Source: ``solver.cpp`` (Snapshot), ``sgd_solver.cpp``. Differs from Caffe in: each file appears whole or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from caffefiles.errors import CaffeError, optional
from caffefiles.files import PathLike, atomic_path
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_binary, save_binary
from torchcaffe import common, log
from torchcaffe.blob import Blob
from torchcaffe.weights import load_weights, save_weights

if TYPE_CHECKING:
    from torchcaffe.solvers.base import Solver


def check_writable(solver: Solver) -> None:
    """Find out before the training whether snapshots can be written.

    Raises:
        CaffeError: they cannot.
    """
    param = solver.param
    if not param.snapshot or common.solver_rank():
        return
    folder = Path(param.snapshot_prefix).parent
    if not param.snapshot_prefix or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise solver.fail(
            f"Cannot write to snapshot prefix {param.snapshot_prefix!r}", "its folder must exist and be writable"
        )


def _is_hdf5(solver: Solver) -> bool:
    return bool(solver.param.snapshot_format == caffe_pb2.SolverParameter.HDF5)


def filename(solver: Solver, kind: str) -> str:
    """The name of the present iteration's file, ``kind`` being caffemodel or solverstate."""
    return f"{solver.param.snapshot_prefix}_iter_{solver.iter}.{kind}" + (".h5" if _is_hdf5(solver) else "")


def write(solver: Solver) -> None:
    """Write the weights, then the state that names them.

    Raises:
        CaffeError: there is no snapshot_prefix.
        OSError: a file cannot be written.
    """
    if common.solver_rank():
        return
    if not solver.param.snapshot_prefix:
        raise solver.fail("snapshot_prefix is missing", "it says where snapshots are written")
    weights, state = filename(solver, "caffemodel"), filename(solver, "solverstate")
    if _is_hdf5(solver):
        log.info("solver.cpp:474", "Snapshotting to HDF5 file %s", weights)
        save_weights(solver.net, weights, solver.param.snapshot_diff)
        log.info("sgd_solver.cpp:296", "Snapshotting solver state to HDF5 file %s", state)
        _write_hdf5(solver, state, weights)
    else:
        log.info("solver.cpp:464", "Snapshotting to binary proto file %s", weights)
        save_weights(solver.net, weights, solver.param.snapshot_diff)
        log.info("sgd_solver.cpp:284", "Snapshotting solver state to binary proto file %s", state)
        message = caffe_pb2.SolverState(iter=solver.iter, learned_net=weights, current_step=solver.current_step)
        for history in solver.history:
            blob = Blob(history.shape, history.dtype, history.device)
            blob.data.copy_(history)
            blob.to_proto(message.history.add())
        save_binary(state, message)


def _write_hdf5(solver: Solver, path: str, weights: str) -> None:
    h5py = optional("h5py", "HDF5")

    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("iter", data=np.array([solver.iter], np.int32))
        name = os.fsencode(weights)
        file.create_dataset("learned_net", data=np.array(name, f"S{len(name) + 1}"))  # Caffe reads up to the NUL
        file.create_dataset("current_step", data=np.array([solver.current_step], np.int32))
        group = file.create_group("history")
        for i, history in enumerate(solver.history):
            group.create_dataset(str(i), data=history.cpu().numpy())


def restore(solver: Solver, path: PathLike) -> None:
    """Take the iteration, the weights and the history of a snapshot; nothing is changed if one of them is wrong.

    Raises:
        CaffeError: the state or its weights cannot be read, or do not fit this solver.
    """
    path = os.fspath(path)
    hdf5 = path.endswith(".h5")
    iteration, weights, step, histories = (_read_hdf5 if hdf5 else _read_binary)(solver, path)
    if weights and not Path(weights).is_file():
        raise CaffeError(
            f"{path}: there is no file {weights!r}, which holds its weights",
            f"the path is relative to the folder that was trained in; now it is {Path.cwd()}",
        )
    if weights:
        load_weights(solver.net, weights)
    for blob in solver.net.params.learnable:
        blob.diff  # noqa: B018 - it may be a copy of the history that is still to be made
    log.info("sgd_solver.cpp:336" if not hdf5 else "sgd_solver.cpp:352", "SGDSolver: restoring history")
    for ours, theirs in zip(solver.history, histories):
        ours.copy_(torch.from_numpy(theirs))
    solver.set_iter(iteration, step)


def _check_count(solver: Solver, path: str, count: int) -> None:
    if count != len(solver.history):
        raise CaffeError(
            f"{path}: Incorrect length of history blobs: {count}, this solver ({solver.param.type}) has "
            f"{len(solver.history)}",
            "was it written by another type of solver, or for another net?",
        )


def _read_binary(solver: Solver, path: str) -> tuple[int, str, int, list[Any]]:
    state = read_binary(path, caffe_pb2.SolverState())
    _check_count(solver, path, len(state.history))
    histories = []
    for i, (proto, ours) in enumerate(zip(state.history, solver.history)):
        blob = Blob(ours.shape, ours.dtype)
        try:
            blob.from_proto(proto, reshape=False)
        except CaffeError as error:
            raise CaffeError(f"{path}: history {i}: {error.message}", "was it written for another net?") from None
        histories.append(blob.array)
    return state.iter, state.learned_net, state.current_step, histories


def _read_hdf5(solver: Solver, path: str) -> tuple[int, str, int, list[Any]]:
    from torchcaffe import hdf5

    with hdf5.opened(path) as file:
        for name in ("iter", "learned_net", "current_step"):
            if name not in file:
                raise CaffeError(f"{path} has no /{name}", "a .solverstate.h5 was expected")
        weights = os.fsdecode(bytes(np.asarray(file["learned_net"][()]).item()).split(b"\0")[0])
        numbers = [int(np.asarray(file[name][()]).ravel()[0]) for name in ("iter", "current_step")]
        group = hdf5.group_of(file, "history", path)
        _check_count(solver, path, len(group))
        histories = [
            hdf5.read_array(group, str(i), tuple(ours.shape), f"{path}: history {i}")
            for i, ours in enumerate(solver.history)
        ]
    return numbers[0], weights, numbers[1], histories
