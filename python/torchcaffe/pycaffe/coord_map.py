"""Where a pixel of one blob lies in another, and the Crop layer that aligns the two. Source: ``coord_map.py``.

A map is (axis, a, b): from ``axis`` on, coordinate x of a top lies at (x − b) / a in the layer's bottom, as Caffe's
module counts it; a and b are arrays with a value for each spatial axis or for all. Axis None: any (the map is 1, 0).
"""

from __future__ import annotations

from typing import Any, Optional, Tuple  # noqa: UP035

import numpy as np

from caffefiles.errors import CaffeError
from torchcaffe.pycaffe.net_spec import Function, Top, layers

Map = Tuple[Optional[int], Any, Any]  # noqa: UP006 - evaluated by Python 3.9
_IDENTITY: Map = (None, 1, 0)

PASS_THROUGH_LAYERS = [
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BNLL",
    "Dropout",
    "Eltwise",
    "ELU",
    "Log",
    "LRN",
    "Exp",
    "MVN",
    "Power",
    "ReLU",
    "PReLU",
    "Scale",
    "Sigmoid",
    "Split",
    "TanH",
    "Threshold",
]
"""Types whose tops lie where their bottoms do."""


class UndefinedMapException(CaffeError):
    """The layer's tops lie nowhere in its bottoms (InnerProduct, say)."""

    def __init__(self, message: str = "this layer's coordinates are not mapped", hint: str = "") -> None:
        super().__init__(message, hint)


class AxisMismatchException(CaffeError):
    """Two maps begin at different axes."""

    def __init__(self, message: str = "the maps begin at different axes", hint: str = "") -> None:
        super().__init__(message, hint)


class UnconnectedError(CaffeError, RuntimeError):
    """No spatial layers lead from one blob to the other."""


class CropError(CaffeError, AssertionError):
    """No crop aligns the blobs."""


def conv_params(fn: Function) -> tuple[int, Any, Any, Any]:
    """Axis, stride, kernel size (dilated) and pad of a Convolution, Deconvolution or Pooling.

    Raises:
        KeyError: it has no kernel_size.
    """
    params = fn.params.get("convolution_param", fn.params)
    if "kernel_size" not in params:
        raise KeyError("kernel_size")
    stride, kernel, pad, dilation = (
        np.array(params.get(name, default), ndmin=1)
        for name, default in (("stride", 1), ("kernel_size", None), ("pad", 0), ("dilation", 1))
    )
    for name in ("pad", "kernel", "stride"):
        if {f"{name}_h", f"{name}_w"} & set(fn.params):
            raise CropError(f"{fn.type_name}: {name}_h and {name}_w are not supported here", "give both as a list")
    return params.get("axis", 1), stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[int, Any]:
    """Axis and offset of a Crop layer."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def coord_map(fn: Function) -> Map:
    """The map of one layer.

    Raises:
        UndefinedMapException: it has none.
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (2 * pad - (kernel - 1)) / (2 * stride)
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return _IDENTITY
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset  # -1: maps count from the last axis that is not cropped
    raise UndefinedMapException(f"a {fn.type_name} layer's tops lie nowhere in its bottoms")


def compose(base_map: Map, next_map: Map) -> Map:
    """One map after the other.

    Raises:
        AxisMismatchException: they begin at different axes.
    """
    axis, a, b = base_map
    other, c, d = next_map
    if axis is not None and other is not None and axis != other:
        raise AxisMismatchException(f"one map begins at axis {axis}, the other at {other}")
    return other if axis is None else axis, a * c, a * d + b


def inverse(coord_map: Map) -> Map:
    """The way back."""
    axis, a, b = coord_map
    return axis, 1 / a, -b / a


def _ancestors(top: Top) -> dict[Top, Map]:
    """All blobs that spatial layers lead down to, and the way."""
    maps: dict[Top, Map] = {top: _IDENTITY}
    frontier = [top]
    while frontier:
        current = frontier.pop()
        inputs = current.fn.inputs
        try:
            for bottom in inputs[:1] if current.fn.type_name == "Crop" else inputs:
                if bottom not in maps:
                    maps[bottom] = compose(maps[current], coord_map(current.fn))
                    frontier.append(bottom)
        except UndefinedMapException:
            continue
    return maps


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map between two blobs over a blob that both come from.

    Raises:
        RuntimeError: no spatial layers connect them.
        AxisMismatchException: layers in between begin at different axes.
    """
    below = _ancestors(top_from)
    for blob, to_map in _ancestors(top_to).items():
        if blob in below:
            return compose(to_map, inverse(below[blob]))
    raise UnconnectedError("Could not compute map between tops; are they connected by spatial layers?")


def crop(top_from: Top, top_to: Top) -> Any:
    """A Crop layer that cuts ``top_from`` to where ``top_to`` lies.

    Raises:
        AssertionError: their scales differ, or the offset is negative or no integer.
    """
    axis, a, b = coord_map_from_to(top_from, top_to)
    a, b = np.array(a, ndmin=1), np.array(b, ndmin=1)
    if not (a == 1).all():
        raise CropError(f"scale mismatch on crop (a = {a})")
    if not (b <= 0).all():
        raise CropError(f"cannot crop negative offset (b = {b})")
    if not (np.round(b) == b).all():
        raise CropError(f"cannot crop noninteger offset (b = {b})")
    # the first axis that is cropped lies after the map's
    offset = (-np.round(b)).astype(int).tolist()
    return layers.Crop(top_from, top_to, crop_param={"axis": (axis or 0) + 1, "offset": offset})
