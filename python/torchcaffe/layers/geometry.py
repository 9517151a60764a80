"""Kernel, stride, pad and dilation of the layers that slide a window. Source: ``base_conv_layer.cpp``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torchcaffe.layers.base import Layer


class Window(NamedTuple):
    """One value for each spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    def extent(self, axis: int) -> int:
        """How many inputs along an axis the dilated kernel spans."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1


def read_window(layer: Layer, param: Any, axes: int) -> Window:
    """The window of a ConvolutionParameter for a bottom with so many spatial axes.

    Raises:
        CaffeError: a list neither of one value nor of one for each axis, both forms, a value out of range.
    """
    return Window(
        _values(layer, param, "kernel_size", "kernel", axes, None, 1),
        _values(layer, param, "stride", "stride", axes, 1, 1),
        _values(layer, param, "pad", "pad", axes, 0, 0),
        _values(layer, param, "dilation", None, axes, 1, 1),
    )


def _values(
    layer: Layer, param: Any, name: str, stem: str | None, axes: int, default: int | None, least: int
) -> tuple[int, ...]:
    listed: Sequence[int] = getattr(param, name)
    if stem is not None and (param.HasField(f"{stem}_h") or param.HasField(f"{stem}_w")):
        if axes != 2:
            raise layer.fail(f"{stem}_h and {stem}_w are for 2 spatial axes, the bottom has {axes}", f"use {name}")
        if listed:
            raise layer.fail(f"has both {name} and {stem}_h or {stem}_w", "give one of the two forms")
        values = (getattr(param, f"{stem}_h"), getattr(param, f"{stem}_w"))
    elif not listed and default is None:
        raise layer.fail(f"convolution_param.{name} is missing")
    elif len(listed) > 1 and len(listed) != axes:
        raise layer.fail(f"{len(listed)} {name} for {axes} spatial axes", "give one, or one for each axis")
    else:
        values = tuple(listed) if len(listed) > 1 else (listed[0] if listed else default,) * axes  # type: ignore[assignment]
    if any(value < least for value in values):
        raise layer.fail(f"{name} {values} must be at least {least}")
    return values
