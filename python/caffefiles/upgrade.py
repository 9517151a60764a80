"""Brings old nets and solvers to the current format, as Caffe does whenever it reads one.

In order: V0 layers to V1 (:mod:`caffefiles.upgrade_v0`), transformation fields out of the data parameters, V1 layers to
current ones, ``input`` fields to an Input layer, BatchNorm's three parameters to constants. Source:
``util/upgrade_proto.cpp``.
"""

from __future__ import annotations

import os
from typing import Any

from caffefiles.errors import CaffeError
from caffefiles.files import PathLike
from caffefiles.proto import caffe_pb2
from caffefiles.upgrade_v0 import upgrade_v0

_TYPE_NAMES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
"""V1 type names that are not their words in capitals run together."""

_TRANSFORMED = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
_SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def upgrade_net(net: Any, source: PathLike = "<net>") -> Any:
    """Upgrade a NetParameter in place and return it.

    Args:
        net: the NetParameter.
        source: where it was read from, for errors.

    Raises:
        CaffeError: it mixes ``layer`` with ``layers``, has a V0 field that its layer type does not take, or has
            other than four ``input_dim`` for each ``input``.
    """
    source = os.fspath(source)
    if net.layers:
        if net.layer:
            raise CaffeError(
                f"{source}: has both 'layer' and 'layers' fields",
                "'layers' is the old name: write every layer as 'layer { type: \"Name\" }', or every one the old way",
            )
        if any(layer.HasField("layer") for layer in net.layers):
            upgrade_v0(net, source)
        for layer in net.layers:
            _upgrade_transformation(layer)
        for layer in net.layers:
            _upgrade_v1(layer, net.layer.add(), source)
        net.ClearField("layers")
    _upgrade_input(net, source)
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for param in layer.param:
                param.lr_mult = param.decay_mult = 0
    return net


def _upgrade_transformation(layer: Any) -> None:
    field = _TRANSFORMED.get(caffe_pb2.V1LayerParameter.LayerType.Name(layer.type))
    if field is None or not layer.HasField(field):
        return
    param = getattr(layer, field)
    for name in _TRANSFORM_FIELDS:
        if param.HasField(name):
            setattr(layer.transform_param, name, getattr(param, name))
            param.ClearField(name)


def _upgrade_v1(old: Any, new: Any, source: str) -> None:
    if old.HasField("layer"):
        raise CaffeError(f"{source}: layer {old.name!r}: a V0 layer within a V1 net", "write all of it one way")
    kind = caffe_pb2.V1LayerParameter.LayerType.Name(old.type)
    if old.HasField("type"):
        new.type = _TYPE_NAMES.get(kind, "".join(word.capitalize() for word in kind.split("_")))
    if old.HasField("name"):
        new.name = old.name
    for name in ("bottom", "top", "loss_weight", "include", "exclude", "blobs"):
        getattr(new, name).extend(getattr(old, name))
    for values, name in (
        (old.param, "name"),
        (old.blob_share_mode, "share_mode"),
        (old.blobs_lr, "lr_mult"),
        (old.weight_decay, "decay_mult"),
    ):
        for i, value in enumerate(values):
            while len(new.param) <= i:
                new.param.add()
            setattr(new.param[i], name, value)
    for field in old.DESCRIPTOR.fields:
        if field.name.endswith("_param") and old.HasField(field.name):
            getattr(new, field.name).CopyFrom(getattr(old, field.name))


def _upgrade_input(net: Any, source: str) -> None:
    if not net.input:
        return
    if net.input_shape or net.input_dim:
        if not net.input_shape and len(net.input_dim) != 4 * len(net.input):
            raise CaffeError(
                f"{source}: {len(net.input_dim)} input_dim for {len(net.input)} input, expected four for each",
                "num, channels, height, width",
            )
        if net.input_shape and len(net.input_shape) != len(net.input):
            raise CaffeError(
                f"{source}: {len(net.input_shape)} input_shape for {len(net.input)} input, expected one for each"
            )
        layer = caffe_pb2.LayerParameter(name="input", type="Input", top=list(net.input))
        for i in range(len(net.input)):
            dims = net.input_shape[i].dim if net.input_shape else net.input_dim[4 * i : 4 * i + 4]
            layer.input_param.shape.add(dim=dims)
        rest = list(net.layer)
        net.ClearField("layer")
        net.layer.extend([layer, *rest])
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)


def upgrade_solver(solver: Any, source: PathLike = "<solver>") -> Any:
    """Turn a SolverParameter's old ``solver_type`` enum into ``type``, in place, and upgrade the nets within it.

    Raises:
        CaffeError: both are given.
    """
    if solver.HasField("solver_type"):
        if solver.HasField("type"):
            raise CaffeError(
                f"{os.fspath(source)}: has both solver_type (old) and type",
                'keep type: "SGD", say, and drop solver_type',
            )
        solver.type = _SOLVER_TYPES[caffe_pb2.SolverParameter.SolverType.Name(solver.solver_type)]
        solver.ClearField("solver_type")
    for net in (
        [solver.net_param, solver.train_net_param]
        if solver.HasField("net_param") or solver.HasField("train_net_param")
        else []
    ):
        upgrade_net(net, source)
    for net in solver.test_net_param:
        upgrade_net(net, source)
    return solver
