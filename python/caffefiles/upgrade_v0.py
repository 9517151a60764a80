"""V0 nets (``layers { layer { name type } bottom top }``, 2013) to V1: padding layers folded, fields to their messages.

Source: ``util/upgrade_proto.cpp``.
"""

from __future__ import annotations

from typing import Any

from caffefiles.errors import CaffeError, nearest
from caffefiles.proto import caffe_pb2

_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}

_CONV, _IP, _POOL = "convolution_param", "inner_product_param", "pooling_param"
_READERS = {
    "data": "data_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "window_data": "window_data_param",
}
_FIELDS: dict[str, tuple[str, dict[str, str]]] = {
    "num_output": ("num_output", {"conv": _CONV, "innerproduct": _IP}),
    "biasterm": ("bias_term", {"conv": _CONV, "innerproduct": _IP}),
    "weight_filler": ("weight_filler", {"conv": _CONV, "innerproduct": _IP}),
    "bias_filler": ("bias_filler", {"conv": _CONV, "innerproduct": _IP}),
    "pad": ("pad", {"conv": _CONV, "pool": _POOL}),
    "kernelsize": ("kernel_size", {"conv": _CONV, "pool": _POOL}),
    "stride": ("stride", {"conv": _CONV, "pool": _POOL}),
    "group": ("group", {"conv": _CONV}),
    "pool": ("pool", {"pool": _POOL}),
    "dropout_ratio": ("dropout_ratio", {"dropout": "dropout_param"}),
    "local_size": ("local_size", {"lrn": "lrn_param"}),
    "alpha": ("alpha", {"lrn": "lrn_param"}),
    "beta": ("beta", {"lrn": "lrn_param"}),
    "k": ("k", {"lrn": "lrn_param"}),
    "source": ("source", {**_READERS, "infogain_loss": "infogain_loss_param"}),
    "batchsize": ("batch_size", _READERS),
    "rand_skip": ("rand_skip", {"data": "data_param", "images": "image_data_param"}),
    "shuffle_images": ("shuffle", {"images": "image_data_param"}),
    "new_height": ("new_height", {"images": "image_data_param"}),
    "new_width": ("new_width", {"images": "image_data_param"}),
    "concat_dim": ("concat_dim", {"concat": "concat_param"}),
    "det_fg_threshold": ("fg_threshold", {"window_data": "window_data_param"}),
    "det_bg_threshold": ("bg_threshold", {"window_data": "window_data_param"}),
    "det_fg_fraction": ("fg_fraction", {"window_data": "window_data_param"}),
    "det_context_pad": ("context_pad", {"window_data": "window_data_param"}),
    "det_crop_mode": ("crop_mode", {"window_data": "window_data_param"}),
}
"""V0 field: its V1 name, and for each layer type that takes it the V1 message that it goes to."""

_TRANSFORM = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
_COPIED = ("blobs", "blobs_lr", "weight_decay")


def upgrade_v0(net: Any, source: str) -> None:
    """Upgrade a NetParameter whose ``layers`` are V0, in place.

    Raises:
        CaffeError: an unknown layer type, or a field that the layer's type does not take.
    """
    upgraded = []
    for connection in _without_padding(net, source):
        layer = caffe_pb2.V1LayerParameter(bottom=connection.bottom, top=connection.top)
        _upgrade_layer(connection.layer, layer, source)
        upgraded.append(layer)
    net.ClearField("layers")
    net.layers.extend(upgraded)


def _without_padding(net: Any, source: str) -> list[Any]:
    """The layers less the ``padding`` ones, whose pad goes to the convolution or pooling that reads them."""
    producer: dict[str, Any] = dict.fromkeys(net.input)
    kept = []
    for connection in net.layers:
        made = caffe_pb2.V1LayerParameter()
        made.CopyFrom(connection)
        for i, bottom in enumerate(connection.bottom):
            if bottom not in producer:
                raise CaffeError(
                    f"{source}: layer {connection.layer.name!r}: unknown bottom {bottom!r} (index {i})",
                    nearest(bottom, producer),
                )
            padding = producer[bottom]
            if padding is not None and padding.layer.type == "padding":
                if made.layer.type not in ("conv", "pool") or len(made.bottom) != 1 or len(padding.bottom) != 1:
                    raise CaffeError(
                        f"{source}: layer {made.layer.name!r}: reads the padding layer {padding.layer.name!r}",
                        "only a convolution or pooling with one bottom can",
                    )
                made.layer.pad = padding.layer.pad
                made.bottom[0] = padding.bottom[0]
        for top in connection.top:
            producer[top] = connection
        if connection.layer.type != "padding":
            kept.append(made)
    return kept


def _upgrade_layer(old: Any, new: Any, source: str) -> None:
    if old.HasField("name"):
        new.name = old.name
    for name in _COPIED:
        getattr(new, name).extend(getattr(old, name))
    if old.HasField("type"):
        if old.type not in _TYPES:
            raise CaffeError(
                f"{source}: layer {old.name!r}: unknown V0 layer type {old.type!r}",
                nearest(old.type, _TYPES) or f"known: {', '.join(_TYPES)}",
            )
        new.type = caffe_pb2.V1LayerParameter.LayerType.Value(_TYPES[old.type])
    for field, value in old.ListFields():
        name = field.name
        if name in _TRANSFORM:
            setattr(new.transform_param, _TRANSFORM[name], value)
        elif name == "hdf5_output_param" and old.type == "hdf5_output":
            new.hdf5_output_param.CopyFrom(value)
        elif name in _FIELDS and old.type in _FIELDS[name][1]:
            renamed, messages = _FIELDS[name]
            _put(getattr(new, messages[old.type]), renamed, value)
        elif name not in ("name", "type", *_COPIED):
            raise CaffeError(f"{source}: layer {old.name!r}: field {name!r} does not go with V0 type {old.type!r}")


def _put(message: Any, name: str, value: Any) -> None:
    target = getattr(message, name)
    if hasattr(target, "CopyFrom"):
        target.CopyFrom(value)
    elif hasattr(target, "append"):
        target.append(value)
    else:
        setattr(message, name, value)
