# ruff: noqa: E501
"""Training runs beside real Caffe: the same LMDB, net, solver and random_seed; every loss and the final weights.

A run is data, in ``RUNS``. ``make_training_goldens.py`` writes ``goldens/training.npz`` with real Caffe.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lmdb
import numpy as np

RECORDS, CLASSES, SHAPE = 23, 5, (3, 11, 13)

DATA = (
    'layer {{ name: "d" type: "Data" top: "x" top: "t" data_param {{ source: "db" backend: LMDB batch_size: {} }} {} }}'
)
LINEAR = (
    'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }'
    ' inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.01 } } }'
    ' layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "t" top: "loss" }'
)
CONVNET = (
    'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 6 kernel_size: 3'
    ' weight_filler { type: "xavier" } } } layer { name: "r" type: "ReLU" bottom: "c" top: "c" }'
    ' layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { kernel_size: 3 stride: 2 } }'
    ' layer { name: "drop" type: "Dropout" bottom: "p" top: "p" }'
    ' layer { name: "fc" type: "InnerProduct" bottom: "p" top: "fc" inner_product_param { num_output: 5'
    ' weight_filler { type: "xavier" } } } layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "t" top: "loss" }'
)
SCALED = DATA.format(7, "transform_param { mean_value: 120 scale: 0.0078125 }") + LINEAR
SGD = "base_lr: {} momentum: 0.9 weight_decay: 0.0005 random_seed: 7 max_iter: 50 {}"
ADAPTIVE = 'type: "{}" base_lr: {} lr_policy: "fixed" weight_decay: 0.001 random_seed: 7 max_iter: 50 {}'

RUNS: dict[str, tuple[str, str]] = {
    "linear": (DATA.format(7, "") + LINEAR, SGD.format("1e-7", 'lr_policy: "fixed"')),
    "mean, crop, mirror": (
        DATA.format(
            7,
            "transform_param { mean_value: 104 mean_value: 117 mean_value: 123 crop_size: 9 mirror: true scale: 0.0078125 }",
        )
        + LINEAR,
        SGD.format("0.01", 'lr_policy: "step" stepsize: 20 gamma: 0.5'),
    ),
    "dropout": (
        DATA.format(6, "transform_param { mean_value: 120 scale: 0.0078125 }") + CONVNET,
        SGD.format("0.01", 'lr_policy: "inv" gamma: 0.01 power: 0.75 iter_size: 2 clip_gradients: 2'),
    ),
    "exp, L1": (SCALED, SGD.format("0.01", 'lr_policy: "exp" gamma: 0.93 regularization_type: "L1"')),
    "multistep, no momentum": (
        SCALED,
        'base_lr: 0.02 weight_decay: 0.001 random_seed: 3 max_iter: 50 lr_policy: "multistep" gamma: 0.3 stepvalue: 11'
        " stepvalue: 12 stepvalue: 31 iter_size: 3",
    ),
    "poly": (SCALED, SGD.format("0.01", 'lr_policy: "poly" power: 1.7')),
    "sigmoid": (SCALED, SGD.format("0.02", 'lr_policy: "sigmoid" gamma: 0.2 stepsize: 23')),
    "Nesterov": (SCALED, SGD.format("0.01", 'type: "Nesterov" lr_policy: "step" stepsize: 20 gamma: 0.1')),
    "AdaGrad": (SCALED, ADAPTIVE.format("AdaGrad", "0.01", "clip_gradients: 1.5")),
    "RMSProp": (SCALED, ADAPTIVE.format("RMSProp", "0.001", "rms_decay: 0.95 delta: 1e-5")),
    "AdaDelta": (SCALED, ADAPTIVE.format("AdaDelta", "1", "momentum: 0.95 delta: 1e-6")),
    "Adam": (SCALED, ADAPTIVE.format("Adam", "0.001", "momentum: 0.9 momentum2: 0.999 delta: 1e-8 iter_size: 2")),
}
"""Net and solver by name; add a row to have another run compared over 50 iterations."""


LOGGED_NET = """
name: "small"
layer { name: "d" type: "Data" top: "x" top: "t" include { phase: TRAIN }
  data_param { source: "db" backend: LMDB batch_size: 7 } }
layer { name: "d" type: "Data" top: "x" top: "t" include { phase: TEST not_stage: "b" }
  data_param { source: "db" backend: LMDB batch_size: 5 } }
layer { name: "d" type: "Data" top: "x" top: "t" include { phase: TEST stage: "b" }
  data_param { source: "db" backend: LMDB batch_size: 9 } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "t" top: "loss" }
layer { name: "acc" type: "Accuracy" bottom: "fc" bottom: "t" top: "acc" include { phase: TEST } }
"""
LOGGED_SOLVER = """
test_state { } test_state { stage: "b" } test_iter: 3 test_iter: 2 test_interval: 4 test_compute_loss: true
base_lr: 1e-6 momentum: 0.9 weight_decay: 0.0005 random_seed: 7 max_iter: 12 display: 3 average_loss: 4
lr_policy: "multistep" stepvalue: 5 stepvalue: 8 gamma: 0.5 snapshot: 5 snapshot_prefix: "s" clip_gradients: 50
"""
"""A run that says everything that there is to say: two test nets, clipping, a rate that changes, snapshots."""

LOGGED_RUNS = {"debug_info": "debug_info: true snapshot_diff: true", "hdf5": "snapshot_format: HDF5"}


def prepare(folder: Path, name: str) -> Path:
    """Write the LMDB and the prototxts of a run into a folder, which must be the working one; the solver's path."""
    write_db(folder)
    return write_prototxts(folder, *RUNS[name])


def prepare_logged(folder: Path, extra: str = "") -> Path:
    """The same of the run that says everything, with ``extra`` solver fields."""
    write_db(folder)
    return write_prototxts(folder, LOGGED_NET, LOGGED_SOLVER + extra)


def write_db(folder: Path) -> None:
    """Write the records, into ``db``."""
    from caffefiles.proto import caffe_pb2

    random = np.random.RandomState(5)
    with lmdb.open(str(folder / "db"), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for i in range(RECORDS):
            label = int(random.randint(CLASSES))
            pixels = (random.randint(0, 200, SHAPE) + 11 * label).astype(np.uint8)
            datum = caffe_pb2.Datum(channels=3, height=11, width=13, data=pixels.tobytes(), label=label)
            transaction.put(b"%08d" % i, datum.SerializeToString())


def write_prototxts(folder: Path, net: str, solver: str) -> Path:
    """Write net and solver; the solver's path."""
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(f'net: "net.prototxt" solver_mode: CPU {solver}')
    return folder / "solver.prototxt"


def train(solver: Any, loss: Any, weights: Any, step: Any, iterations: int = 50) -> dict[str, Any]:
    """The first weights, each iteration's loss, the last weights, and what the last update left in their diff."""
    first = np.array(weights())
    losses = []
    for _ in range(iterations):
        solver.step(1)
        losses.append(float(loss()))
    return {"first": first, "losses": np.array(losses), "last": np.array(weights()), "step": np.array(step())}
