"""Caffe's Python module: ``import torchcaffe.pycaffe as caffe``, or ``torchcaffe.install()`` and ``import caffe``.

Names, arguments and results are pycaffe's. What made real Caffe abort the process raises CaffeError here.
"""

from __future__ import annotations

import sys

from caffefiles import proto
from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from torchcaffe import common
from torchcaffe.common import set_device, set_mode_cpu, set_mode_gpu, set_solver_rank, solver_count, solver_rank
from torchcaffe.layers import python as python_layer
from torchcaffe.pycaffe import classifier as classifier
from torchcaffe.pycaffe import coord_map, detector, draw, io, net_spec
from torchcaffe.pycaffe.classifier import Classifier
from torchcaffe.pycaffe.detector import Detector
from torchcaffe.pycaffe.logging import init_log, log
from torchcaffe.pycaffe.net import Net
from torchcaffe.pycaffe.net_spec import NetSpec, layers, params, to_proto
from torchcaffe.pycaffe.solvers import (
    NCCL,
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    Solver,
    get_solver,
    has_nccl,
    set_multiprocess,
    set_solver_count,
)
from torchcaffe.pycaffe.timer import Timer
from torchcaffe.version import __version__ as __version__
from torchcaffe.views import Blob, BlobVec, Layer

TRAIN: int = caffe_pb2.TRAIN
TEST: int = caffe_pb2.TEST

__all__ = [
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "BlobVec",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "Timer",
    "classifier",
    "coord_map",
    "detector",
    "draw",
    "get_solver",
    "has_nccl",
    "init_log",
    "install",
    "io",
    "layer_type_list",
    "layers",
    "log",
    "net_spec",
    "params",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
    "to_proto",
]

_SUBMODULES = ("classifier", "coord_map", "detector", "draw", "io", "net_spec")


def set_random_seed(seed: int) -> None:
    """Start the random numbers anew.

    Args:
        seed: 0..2³²−1.

    Raises:
        OverflowError: it is negative or larger, as in pycaffe.
    """
    if not 0 <= seed < 2**32:
        raise OverflowError(f"the seed {seed} is not in 0..4294967295")
    common.set_random_seed(seed)


def layer_type_list() -> list[str]:
    """The layer types that a prototxt may name, sorted."""
    from torchcaffe.layers.registry import LAYERS

    return sorted(LAYERS)


def install() -> None:
    """Let ``import caffe`` mean this module from now on, ``caffe.io``, ``caffe.proto.caffe_pb2`` and so on too.

    Raises:
        CaffeError: another caffe has been imported already.
    """
    ours = sys.modules[__name__]
    found = sys.modules.get("caffe")
    if found is not None and found is not ours:
        raise CaffeError(
            f"another caffe is imported already: {getattr(found, '__file__', found)}",
            "call torchcaffe.install() before anything imports caffe",
        )
    sys.modules["caffe"] = ours
    sys.modules["caffe.proto"], sys.modules["caffe.proto.caffe_pb2"] = proto, caffe_pb2
    for name in _SUBMODULES:
        sys.modules[f"caffe.{name}"] = sys.modules[f"{__name__}.{name}"]
    sys.modules["caffe.pycaffe"] = sys.modules["caffe._caffe"] = ours


python_layer.install = install
