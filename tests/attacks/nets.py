"""Small nets for the tests of attacks: real Caffe, weights of a seed, sizes all different."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foolcaffe.attacks.linear import LinearNet
from foolcaffe.classifier import Classifier
from foolcaffe.engine import caffe
from foolcaffe.images import Rgb8

CLASSES, HEIGHT, WIDTH = 7, 8, 9

INPUT = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 dim: {h} dim: {w} }} }} }}
"""
LINEAR = """
layer {{ name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param {{ num_output: {k} }} }}
"""
CONV = """
layer {{ name: "scaled" type: "Power" bottom: "data" top: "scaled" power_param {{ scale: 0.02 }} }}
layer {{ name: "conv" type: "Convolution" bottom: "scaled" top: "conv"
  convolution_param {{ num_output: 5 kernel_size: 3 }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param {{ num_output: {k} }} }}
"""
SOFTMAX = """
layer {{ name: "prob" type: "Softmax" bottom: "fc" top: "prob" }}
"""


def caffe_net(
    folder: Path, body: str = LINEAR, *, seed: int = 0, scale: float = 0.01, force: bool = True
) -> Classifier:
    """A classifier whose weights are drawn from ``seed``; ``scale`` 0 gives a constant one."""
    folder.mkdir(parents=True, exist_ok=True)
    deploy, weights = folder / "deploy.prototxt", folder / "net.caffemodel"
    text = (INPUT + body + SOFTMAX).format(k=CLASSES, h=HEIGHT, w=WIDTH)
    deploy.write_text(("force_backward: true\n" if force else "") + text)
    rng = np.random.default_rng(seed)
    net = caffe.Net(str(deploy), caffe.TEST)
    for name, blobs in net.params.items():
        spread = 0.3 if name == "conv" else scale
        blobs[0].data[...] = rng.standard_normal(blobs[0].data.shape) * spread
        blobs[1].data[...] = rng.standard_normal(blobs[1].data.shape) * scale
    net.save(str(weights))
    return Classifier(deploy, weights, None)


def image(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Rgb8:
    """Smooth colours with black and white in them, so that the box matters."""
    rng = np.random.default_rng(seed)
    pixels = np.clip(rng.normal(128, 110, (height, width, 3)), 0, 255)
    return Rgb8(pixels.astype(np.uint8))


def numbers(seed: int, classes: int, size: int, scale: float = 0.05) -> tuple[LinearNet, np.ndarray]:
    """A linear net without Caffe, and a start of whole grey levels."""
    rng = np.random.default_rng(seed)
    rows32 = (rng.standard_normal((classes, size)) * scale).astype(np.float32)
    rows = rows32.astype(np.float64)
    start = np.clip(np.rint(rng.normal(128, 90, size)), 0, 255)
    offsets = rng.standard_normal(classes) - rows @ start  # so that scores are of order one at the start
    return LinearNet(rows, rows32, rows @ rows.T, offsets, 1e-9), start
