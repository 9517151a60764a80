"""Where a smaller blob goes along a larger one: axis and num_axes of Bias and Scale. Source: ``bias_layer.cpp``."""

from __future__ import annotations

from typing import Any

import torch

from torchcaffe.blob import Blob
from torchcaffe.layers.base import Layer


def operand_shape(layer: Layer, param: Any, bottom: Blob) -> tuple[int, ...]:
    """The shape of a learnt operand: ``num_axes`` axes of the bottom's from ``axis`` on; all of them for −1.

    Raises:
        CaffeError: the bottom has fewer axes.
    """
    if param.num_axes < -1:
        raise layer.fail(f"num_axes {param.num_axes} is negative", "-1 (all axes from axis on), 0 (a scalar) or more")
    axis = bottom.canonical_axis(param.axis) if param.num_axes else 0
    if param.num_axes == -1:
        return bottom.shape[axis:]
    if axis + param.num_axes > bottom.num_axes:
        raise layer.fail(
            f"{param.num_axes} axes from axis {axis} on exceed a bottom of shape {bottom.shape}", "lower num_axes"
        )
    return bottom.shape[axis : axis + param.num_axes]


def fold(layer: Layer, param: Any, bottom: Blob, operand: Blob) -> tuple[int, int, int]:
    """The bottom as outer × operand × inner.

    Raises:
        CaffeError: the operand's shape is not the bottom's from ``axis`` on.
    """
    axis = bottom.canonical_axis(param.axis) if operand.num_axes else 0
    end = axis + operand.num_axes
    if bottom.shape[axis:end] != operand.shape:
        raise layer.fail(
            f"an operand of shape {operand.shape} does not fit a bottom of shape {bottom.shape} from axis {axis} on"
        )
    return bottom.count_between(0, axis), operand.count, bottom.count_between(end)


def along(operand: torch.Tensor) -> torch.Tensor:
    """An operand, to be combined with outer × operand × inner."""
    return operand.reshape(1, -1, 1)
