"""Initial values of parameters, drawn as Caffe draws them. Source: ``filler.hpp``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from caffefiles.errors import CaffeError, nearest
from caffefiles.proto import caffe_pb2
from torchcaffe.rng import Generator

F32 = NDArray[np.float32]
Shape = Sequence[int]


def fill(shape: Shape, param: Any, generator: Generator) -> F32:
    """Values of ``shape`` by a FillerParameter.

    Raises:
        CaffeError: an unknown filler, or one that cannot fill such a shape.
    """
    if param.type not in FILLERS:
        known = f"known: {', '.join(sorted(FILLERS))}"
        raise CaffeError(f"unknown filler {param.type!r}", nearest(param.type, FILLERS) or known)
    if not shape and (param.type in ("msra", "positive_unitball", "xavier") or param.sparse >= 0):
        raise CaffeError(
            f"the filler {param.type!r} cannot fill a single number", "it counts along axes: take constant or uniform"
        )
    if param.sparse != -1 and param.type != "gaussian":
        raise CaffeError(f"the filler {param.type!r} knows no sparse", "only gaussian does")
    return FILLERS[param.type](tuple(shape), param, generator).reshape(shape)


def _constant(shape: Shape, param: Any, generator: Generator) -> F32:
    return np.full(math.prod(shape), param.value, np.float32)


def _uniform(shape: Shape, param: Any, generator: Generator) -> F32:
    return generator.uniform(_positive(shape), param.min, param.max)


def _gaussian(shape: Shape, param: Any, generator: Generator) -> F32:
    values = generator.gaussian(_positive(shape), param.mean, param.std)
    if param.sparse >= 0:
        probability = np.float32(param.sparse) / np.float32(shape[0])
        values *= generator.bernoulli(values.size, float(probability), np.float32)
    return values


def _positive_unitball(shape: Shape, param: Any, generator: Generator) -> F32:
    values = generator.uniform(_positive(shape), 0, 1).reshape(shape[0], -1)
    # one running float32 sum a row, in Caffe's order
    sums = np.cumsum(values, axis=1, dtype=np.float32)[:, -1:]
    result: F32 = (values / sums).ravel()
    return result


def _fan(shape: Shape, param: Any) -> np.float32:
    count = _positive(shape)
    fan_in, fan_out = np.float32(count // shape[0]), np.float32(count // (shape[1] if len(shape) > 1 else 1))
    if param.variance_norm == caffe_pb2.FillerParameter.AVERAGE:
        return np.float32((fan_in + fan_out) / np.float32(2))
    return fan_out if param.variance_norm == caffe_pb2.FillerParameter.FAN_OUT else fan_in


def _xavier(shape: Shape, param: Any, generator: Generator) -> F32:
    scale = np.sqrt(np.float32(3) / _fan(shape, param))
    return generator.uniform(math.prod(shape), -scale, scale)


def _msra(shape: Shape, param: Any, generator: Generator) -> F32:
    return generator.gaussian(math.prod(shape), 0, np.sqrt(np.float32(2) / _fan(shape, param)))


def _bilinear(shape: Shape, param: Any, generator: Generator) -> F32:
    if len(shape) != 4 or shape[2] != shape[3]:
        raise CaffeError(f"the bilinear filler cannot fill the shape {tuple(shape)}", "four axes, the last two equal")
    f = math.ceil(shape[3] / 2)
    c = np.float32((shape[3] - 1) / (2.0 * f))
    near = 1 - np.abs(np.arange(shape[3], dtype=np.float32) / np.float32(f) - c)
    kernel = (near[:, None] * near[None, :]).astype(np.float32)
    return np.broadcast_to(kernel, shape).astype(np.float32)


def _positive(shape: Shape) -> int:
    count = math.prod(shape)
    if not count:
        raise CaffeError(f"nothing to fill in the shape {tuple(shape)}", "every dimension must be positive")
    return count


FILLERS: dict[str, Callable[[Shape, Any, Generator], F32]] = {
    "bilinear": _bilinear,
    "constant": _constant,
    "gaussian": _gaussian,
    "msra": _msra,
    "positive_unitball": _positive_unitball,
    "uniform": _uniform,
    "xavier": _xavier,
}
"""Every filler that Caffe knows."""
