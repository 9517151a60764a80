"""Every layer type, a line each: its name in prototxts and its class."""

from __future__ import annotations

from typing import Any

import torch

from caffefiles.errors import CaffeError, nearest
from torchcaffe.layers.absval import AbsVal
from torchcaffe.layers.accuracy import Accuracy
from torchcaffe.layers.argmax import ArgMax
from torchcaffe.layers.base import Layer
from torchcaffe.layers.batch_norm import BatchNorm
from torchcaffe.layers.batch_reindex import BatchReindex
from torchcaffe.layers.bias import Bias
from torchcaffe.layers.bnll import BNLL
from torchcaffe.layers.clip import Clip
from torchcaffe.layers.concat import Concat
from torchcaffe.layers.contrastive_loss import ContrastiveLoss
from torchcaffe.layers.convolution import Convolution
from torchcaffe.layers.crop import Crop
from torchcaffe.layers.data import Data
from torchcaffe.layers.deconvolution import Deconvolution
from torchcaffe.layers.dropout import Dropout
from torchcaffe.layers.dummy_data import DummyData
from torchcaffe.layers.eltwise import Eltwise
from torchcaffe.layers.elu import ELU
from torchcaffe.layers.embed import Embed
from torchcaffe.layers.euclidean_loss import EuclideanLoss
from torchcaffe.layers.exp import Exp
from torchcaffe.layers.filter import Filter
from torchcaffe.layers.flatten import Flatten
from torchcaffe.layers.hdf5_data import HDF5Data
from torchcaffe.layers.hdf5_output import HDF5Output
from torchcaffe.layers.hinge_loss import HingeLoss
from torchcaffe.layers.im2col import Im2col
from torchcaffe.layers.image_data import ImageData
from torchcaffe.layers.infogain_loss import InfogainLoss
from torchcaffe.layers.inner_product import InnerProduct
from torchcaffe.layers.input import Input
from torchcaffe.layers.log import Log
from torchcaffe.layers.lrn import LRN
from torchcaffe.layers.lstm import LSTM
from torchcaffe.layers.lstm_unit import LSTMUnit
from torchcaffe.layers.memory_data import MemoryData
from torchcaffe.layers.multinomial_logistic_loss import MultinomialLogisticLoss
from torchcaffe.layers.mvn import MVN
from torchcaffe.layers.parameter import Parameter
from torchcaffe.layers.pooling import Pooling
from torchcaffe.layers.power import Power
from torchcaffe.layers.prelu import PReLU
from torchcaffe.layers.python import Python
from torchcaffe.layers.reduction import Reduction
from torchcaffe.layers.relu import ReLU
from torchcaffe.layers.reshape import Reshape
from torchcaffe.layers.rnn import RNN
from torchcaffe.layers.scale import Scale
from torchcaffe.layers.sigmoid import Sigmoid
from torchcaffe.layers.sigmoid_cross_entropy_loss import SigmoidCrossEntropyLoss
from torchcaffe.layers.silence import Silence
from torchcaffe.layers.slice import Slice
from torchcaffe.layers.softmax import Softmax
from torchcaffe.layers.softmax_with_loss import SoftmaxWithLoss
from torchcaffe.layers.split import Split
from torchcaffe.layers.spp import SPP
from torchcaffe.layers.swish import Swish
from torchcaffe.layers.tanh import TanH
from torchcaffe.layers.threshold import Threshold
from torchcaffe.layers.tile import Tile
from torchcaffe.layers.window_data import WindowData

LAYERS: dict[str, type[Layer]] = {
    "AbsVal": AbsVal,
    "Accuracy": Accuracy,
    "ArgMax": ArgMax,
    "BatchNorm": BatchNorm,
    "BatchReindex": BatchReindex,
    "Bias": Bias,
    "BNLL": BNLL,
    "Clip": Clip,
    "Concat": Concat,
    "ContrastiveLoss": ContrastiveLoss,
    "Convolution": Convolution,
    "Crop": Crop,
    "Data": Data,
    "Deconvolution": Deconvolution,
    "Dropout": Dropout,
    "DummyData": DummyData,
    "Eltwise": Eltwise,
    "ELU": ELU,
    "Embed": Embed,
    "EuclideanLoss": EuclideanLoss,
    "Exp": Exp,
    "Filter": Filter,
    "Flatten": Flatten,
    "HDF5Data": HDF5Data,
    "HDF5Output": HDF5Output,
    "HingeLoss": HingeLoss,
    "Im2col": Im2col,
    "ImageData": ImageData,
    "InfogainLoss": InfogainLoss,
    "InnerProduct": InnerProduct,
    "Input": Input,
    "Log": Log,
    "LRN": LRN,
    "LSTM": LSTM,
    "LSTMUnit": LSTMUnit,
    "MemoryData": MemoryData,
    "MultinomialLogisticLoss": MultinomialLogisticLoss,
    "MVN": MVN,
    "Parameter": Parameter,
    "Pooling": Pooling,
    "Power": Power,
    "PReLU": PReLU,
    "Python": Python,
    "Reduction": Reduction,
    "ReLU": ReLU,
    "Reshape": Reshape,
    "RNN": RNN,
    "Scale": Scale,
    "Sigmoid": Sigmoid,
    "SigmoidCrossEntropyLoss": SigmoidCrossEntropyLoss,
    "Silence": Silence,
    "Slice": Slice,
    "Softmax": Softmax,
    "SoftmaxWithLoss": SoftmaxWithLoss,
    "Split": Split,
    "SPP": SPP,
    "Swish": Swish,
    "TanH": TanH,
    "Threshold": Threshold,
    "Tile": Tile,
    "WindowData": WindowData,
}


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
