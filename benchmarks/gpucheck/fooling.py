"""The post's attack and the exact one through Caffe's Python interface, on a linear net with random weights."""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

import numpy as np

from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_net, to_text
from gpucheck.made import LINEAR, write_mean
from gpucheck.runner import Context


def run(context: Context) -> str:
    """Data gradients beside weight rows, then fooling images."""
    os.environ["FOOLCAFFE_ENGINE"] = "torch"
    from foolcaffe import engine, images
    from foolcaffe.attacks import METHODS
    from foolcaffe.attacks.base import Criterion
    from foolcaffe.attacks.linear import linear_net

    engine.quiet = True
    net = _classifier(context)
    start = images.noise(64, 64, 3)
    rows = net.score_weights()
    pixels = start.to_bgr()
    targets = [int(k) for k in np.linspace(0, net.classes - 1, context.sizes.images + 1)[1:]]
    far = max(float(np.abs(net.class_gradient(pixels, k) - rows[k]).max()) for k in targets)
    context.note(gradient_minus_row=far, classes=net.classes)
    if far:
        raise ValueError(f"a data gradient differs from its row of weights by {far:.3g}")
    begin = time.perf_counter()
    for k in targets:
        net.class_gradient(pixels, k)
    found: dict[str, Any] = {"gradient_ms": 1000 * (time.perf_counter() - begin) / len(targets)}
    begin = time.perf_counter()
    linear_net(net)  # rows and their products with each other, once a net
    context.note(prepare_seconds=time.perf_counter() - begin)
    for name in ("gradient", "exact"):
        seconds, sizes, fooled = [], [], 0
        for k in targets:
            criterion = Criterion(target=k, confidence=0.9)
            begin = time.perf_counter()
            result = METHODS[name](net, start, criterion)
            seconds.append(time.perf_counter() - begin)
            fooled += bool(criterion.met(net.probabilities(result.image.to_bgr()))[0])
            sizes.append(float(np.linalg.norm(result.image.to_bgr().array - pixels.array)))
        found[name] = {
            "images": len(targets),
            "fooled": fooled,
            "first_seconds": seconds[0],
            "seconds": statistics.median(seconds[1:] or seconds),
            "l2": statistics.median(sizes),
        }
        context.note(**found)
        if fooled != len(targets):
            raise ValueError(f"{name}: {fooled} of {len(targets)} images fool the net")
    return f"data gradients equal the rows of weights; a gradient {found['gradient_ms']:.2f} ms, " + ", ".join(
        f"{name} {found[name]['seconds']:.3f} s an image (the first {found[name]['first_seconds']:.3f})"
        for name in ("gradient", "exact")
    )


def _classifier(context: Context) -> Any:
    from foolcaffe.classifier import Classifier

    folder, classes = context.folder, context.sizes.classes
    deploy = read_net(LINEAR / "deploy.prototxt")
    next(layer for layer in deploy.layer if layer.type == "InnerProduct").inner_product_param.num_output = classes
    (folder / "deploy.prototxt").write_text(to_text(deploy))
    weights = caffe_pb2.NetParameter()
    layer = weights.layer.add(name="fc", type="InnerProduct")
    random = np.random.default_rng(5)
    for shape in ((classes, 3 * 64 * 64), (classes,)):
        blob = layer.blobs.add()
        blob.shape.dim.extend(shape)
        blob.data.extend((random.standard_normal(shape) * 3e-4).astype(np.float32).ravel())
    (folder / "net.caffemodel").write_bytes(weights.SerializeToString())
    write_mean(folder / "mean.binaryproto", (3, 64, 64))
    files = (folder / name for name in ("deploy.prototxt", "net.caffemodel", "mean.binaryproto"))
    return Classifier(*files, gpu=0 if context.device == "cuda" else None)
