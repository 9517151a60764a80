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
SGD = "base_lr: {} momentum: 0.9 weight_decay: 0.0005 random_seed: 7 max_iter: 50 {}"

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
}
"""Net and solver by name; add a row to have another run compared over 50 iterations."""


def prepare(folder: Path, name: str) -> Path:
    """Write the LMDB and the prototxts of a run into a folder, which must be the working one; the solver's path."""
    from torchcaffe.proto import caffe_pb2

    random = np.random.RandomState(5)
    with lmdb.open(str(folder / "db"), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for i in range(RECORDS):
            label = int(random.randint(CLASSES))
            pixels = (random.randint(0, 200, SHAPE) + 11 * label).astype(np.uint8)
            datum = caffe_pb2.Datum(channels=3, height=11, width=13, data=pixels.tobytes(), label=label)
            transaction.put(b"%08d" % i, datum.SerializeToString())
    net, solver = RUNS[name]
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(f'net: "net.prototxt" solver_mode: CPU {solver}')
    return folder / "solver.prototxt"


def train(solver: Any, loss: Any, weights: Any, iterations: int = 50) -> dict[str, Any]:
    """The first weights, each iteration's loss and the last weights."""
    first = np.array(weights())
    losses = []
    for _ in range(iterations):
        solver.step(1)
        losses.append(float(loss()))
    return {"first": first, "losses": np.array(losses), "last": np.array(weights())}
