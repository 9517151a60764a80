"""Every layer type, found by its file: ``softmax_with_loss.py`` holds the class ``SoftmaxWithLoss``, and so on."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import torch

from caffefiles.errors import CaffeError, nearest
from torchcaffe import layers
from torchcaffe.layers.base import Layer

_SHARED = {
    *("base", "broadcast", "elementwise", "function", "geometry"),
    *("labels", "normalization", "recurrent", "registry", "sharing"),
}
"""Modules of what layers share."""


def _find() -> dict[str, type[Layer]]:
    found = {}
    for module in pkgutil.iter_modules(layers.__path__):
        if module.name not in _SHARED:
            members = vars(import_module(f"{layers.__name__}.{module.name}"))
            (name,) = (m for m in members if m.lower() == module.name.replace("_", ""))
            found[name] = members[name]
    return found


LAYERS: dict[str, type[Layer]] = _find()
"""The name in prototxts, and the class."""


def create_layer(
    param: Any, phase: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Layer:
    """The layer that a LayerParameter describes, not yet set up.

    Raises:
        CaffeError: its type is unknown.
    """
    if param.type not in LAYERS:
        known = ", ".join(sorted(LAYERS))
        raise CaffeError(
            f"layer {param.name!r}: unknown layer type {param.type!r}",
            "\n".join(filter(None, [nearest(param.type, LAYERS), f"known types: {known}"])),
        )
    return LAYERS[param.type](param, phase, device, dtype)
