"""Every layer type, a line each: its name in prototxts and its class."""

from __future__ import annotations

from typing import Any

import torch
from foolcaffe.errors import FoolCaffeError, nearest
from torchcaffe.layers.accuracy import Accuracy
from torchcaffe.layers.base import Layer
from torchcaffe.layers.convolution import Convolution
from torchcaffe.layers.data import Data
from torchcaffe.layers.dropout import Dropout
from torchcaffe.layers.dummy_data import DummyData
from torchcaffe.layers.hdf5_data import HDF5Data
from torchcaffe.layers.hdf5_output import HDF5Output
from torchcaffe.layers.image_data import ImageData
from torchcaffe.layers.inner_product import InnerProduct
from torchcaffe.layers.input import Input
from torchcaffe.layers.memory_data import MemoryData
from torchcaffe.layers.pooling import Pooling
from torchcaffe.layers.python import Python
from torchcaffe.layers.relu import ReLU
from torchcaffe.layers.softmax import Softmax
from torchcaffe.layers.softmax_with_loss import SoftmaxWithLoss
from torchcaffe.layers.split import Split

LAYERS: dict[str, type[Layer]] = {
    "Accuracy": Accuracy,
    "Convolution": Convolution,
    "Data": Data,
    "Dropout": Dropout,
    "DummyData": DummyData,
    "HDF5Data": HDF5Data,
    "HDF5Output": HDF5Output,
    "ImageData": ImageData,
    "InnerProduct": InnerProduct,
    "Input": Input,
    "MemoryData": MemoryData,
    "Pooling": Pooling,
    "Python": Python,
    "ReLU": ReLU,
    "Softmax": Softmax,
    "SoftmaxWithLoss": SoftmaxWithLoss,
    "Split": Split,
}


def create_layer(
    param: Any, phase: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Layer:
    """The layer that a LayerParameter describes, not yet set up.

    Raises:
        FoolCaffeError: its type is unknown.
    """
    if param.type not in LAYERS:
        known = ", ".join(sorted(LAYERS))
        raise FoolCaffeError(
            f"layer {param.name!r}: unknown layer type {param.type!r}",
            "\n".join(filter(None, [nearest(param.type, LAYERS), f"known types: {known}"])),
        )
    return LAYERS[param.type](param, phase, device, dtype)
