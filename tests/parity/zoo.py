"""The nets that people use Caffe for, written by a small builder from their papers' tables, as parity cases.

Each at its own input size with a batch of one, its fillers drawing from the seed, so that both engines start from the
same weights. What a net gives is too large to store: of each array the norm and a projection are.
"""

from __future__ import annotations

import zlib
from typing import Any, Callable

import numpy as np

from parity import Case, run_case


class Builder:
    """Prototxt text, layer by layer; each method returns its top's name.

    ``fillers`` replaces the text of a layer's fillers, by its name: ``weight_filler {...} bias_filler {...}``.
    """

    def __init__(self, fillers: dict[str, str] | None = None) -> None:
        self.text = ""
        self.fillers = fillers or {}

    def filler(self, name: str, kind: str) -> str:
        return self.fillers.get(name, f'weight_filler {{ type: "{kind}" }} bias_filler {{ value: 0.1 }}')

    def layer(self, kind: str, name: str, bottoms: str | tuple[str, ...], more: str = "", top: str = "") -> str:
        bottoms = (bottoms,) if isinstance(bottoms, str) else bottoms
        reads = " ".join(f'bottom: "{b}"' for b in bottoms)
        self.text += f'layer {{ name: "{name}" type: "{kind}" {reads} top: "{top or name}" {more} }}\n'
        return top or name

    def conv(
        self,
        name: str,
        bottom: str,
        outputs: int,
        kernel: int,
        stride: int = 1,
        pad: int = 0,
        group: int = 1,
        more: str = "",
    ) -> str:
        return self.layer(
            "Convolution",
            name,
            bottom,
            f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {pad} "
            f"group: {group} {self.filler(name, 'msra')} {more} }}",
        )

    def relu(self, bottom: str) -> str:
        return self.layer("ReLU", f"relu_{bottom}", bottom, top=bottom)

    def conv_relu(self, *args: Any, **kwargs: Any) -> str:
        return self.relu(self.conv(*args, **kwargs))

    def conv_bn(self, name: str, bottom: str, outputs: int, *args: Any, relu: bool = True) -> str:
        top = self.conv(name, bottom, outputs, *args, more="bias_term: false")
        # statistics of its own, that keep a signal alive: with a new net's zeros TEST divides by the root of eps
        blobs = " ".join(
            f"blobs {{ shape {{ dim: {count} }} {f'data: {value} ' * count} }}"
            for count, value in ((outputs, -0.0625), (outputs, 1.25), (1, 0.75))
        )
        self.layer("BatchNorm", f"bn_{name}", top, blobs, top=top)
        self.layer("Scale", f"scale_{name}", top, "scale_param { bias_term: true }", top=top)
        return self.relu(top) if relu else top

    def pool(self, name: str, bottom: str, kernel: int = 3, stride: int = 2, how: str = "MAX", pad: int = 0) -> str:
        window = f"kernel_size: {kernel} stride: {stride} pad: {pad}" if kernel else "global_pooling: true"
        return self.layer("Pooling", name, bottom, f"pooling_param {{ pool: {how} {window} }}")

    def lrn(self, name: str, bottom: str, param: str = "local_size: 5 alpha: 0.0001 beta: 0.75") -> str:
        return self.layer("LRN", name, bottom, f"lrn_param {{ {param} }}")

    def fc(self, name: str, bottom: str, outputs: int) -> str:
        return self.layer(
            "InnerProduct",
            name,
            bottom,
            f"inner_product_param {{ num_output: {outputs} {self.filler(name, 'xavier')} }}",
        )

    def dropout(self, bottom: str, ratio: float = 0.5) -> str:
        return self.layer(
            "Dropout", f"drop_{bottom}", bottom, f"dropout_param {{ dropout_ratio: {ratio} }}", top=bottom
        )

    def loss(self, bottom: str, name: str = "loss", weight: float = 1) -> str:
        return self.layer("SoftmaxWithLoss", name, (bottom, "label"), f"loss_weight: {weight}")


def lenet(b: Builder) -> None:
    x = b.pool("pool1", b.conv("conv1", "data", 20, 5), 2)
    x = b.pool("pool2", b.conv("conv2", x, 50, 5), 2)
    b.loss(b.fc("ip2", b.relu(b.fc("ip1", x, 500)), 10))


def cifar_quick(b: Builder) -> None:
    x = b.relu(b.pool("pool1", b.conv("conv1", "data", 32, 5, pad=2)))
    x = b.pool("pool2", b.conv_relu("conv2", x, 32, 5, pad=2), how="AVE")
    x = b.pool("pool3", b.conv_relu("conv3", x, 64, 5, pad=2), how="AVE")
    b.loss(b.fc("ip2", b.fc("ip1", x, 64), 10))


def cifar_full(b: Builder) -> None:
    norm = "local_size: 3 alpha: 5e-05 beta: 0.75 norm_region: WITHIN_CHANNEL"
    x = b.lrn("norm1", b.relu(b.pool("pool1", b.conv("conv1", "data", 32, 5, pad=2))), norm)
    x = b.lrn("norm2", b.pool("pool2", b.conv_relu("conv2", x, 32, 5, pad=2), how="AVE"), norm)
    x = b.pool("pool3", b.conv_relu("conv3", x, 64, 5, pad=2), how="AVE")
    b.loss(b.fc("ip1", x, 10))


def _alexnet(b: Builder, norm_first: bool) -> None:
    def between(x: str, i: int) -> str:
        if norm_first:
            return b.pool(f"pool{i}", b.lrn(f"norm{i}", x))
        return b.lrn(f"norm{i}", b.pool(f"pool{i}", x))

    x = between(b.conv_relu("conv1", "data", 96, 11, 4), 1)
    x = between(b.conv_relu("conv2", x, 256, 5, pad=2, group=2), 2)
    x = b.conv_relu("conv3", x, 384, 3, pad=1)
    x = b.conv_relu("conv4", x, 384, 3, pad=1, group=2)
    x = b.pool("pool5", b.conv_relu("conv5", x, 256, 3, pad=1, group=2))
    for name in ("fc6", "fc7"):
        x = b.dropout(b.relu(b.fc(name, x, 4096)))
    b.loss(b.fc("fc8", x, 1000))


def caffenet(b: Builder) -> None:
    _alexnet(b, norm_first=False)


def alexnet(b: Builder) -> None:
    _alexnet(b, norm_first=True)


def googlenet(b: Builder) -> None:
    def inception(name: str, x: str, one: int, to3: int, three: int, to5: int, five: int, pooled: int) -> str:
        return b.layer(
            "Concat",
            f"{name}/output",
            (
                b.conv_relu(f"{name}/1x1", x, one, 1),
                b.conv_relu(f"{name}/3x3", b.conv_relu(f"{name}/3x3_reduce", x, to3, 1), three, 3, pad=1),
                b.conv_relu(f"{name}/5x5", b.conv_relu(f"{name}/5x5_reduce", x, to5, 1), five, 5, pad=2),
                b.conv_relu(f"{name}/pool_proj", b.pool(f"{name}/pool", x, 3, 1, pad=1), pooled, 1),
            ),
        )

    def auxiliary(name: str, x: str) -> None:
        x = b.conv_relu(f"{name}/conv", b.pool(f"{name}/pool", x, 5, 3, "AVE"), 128, 1)
        x = b.dropout(b.relu(b.fc(f"{name}/fc", x, 1024)), 0.7)
        b.loss(b.fc(f"{name}/classifier", x, 1000), f"{name}/loss", 0.3)

    x = b.lrn("norm1", b.pool("pool1", b.conv_relu("conv1", "data", 64, 7, 2, 3)))
    x = b.conv_relu("conv2", b.conv_relu("conv2_reduce", x, 64, 1), 192, 3, pad=1)
    x = b.pool("pool2", b.lrn("norm2", x))
    x = inception("3a", x, 64, 96, 128, 16, 32, 32)
    x = b.pool("pool3", inception("3b", x, 128, 128, 192, 32, 96, 64))
    x = inception("4a", x, 192, 96, 208, 16, 48, 64)
    auxiliary("loss1", x)
    x = inception("4b", x, 160, 112, 224, 24, 64, 64)
    x = inception("4c", x, 128, 128, 256, 24, 64, 64)
    x = inception("4d", x, 112, 144, 288, 32, 64, 64)
    auxiliary("loss2", x)
    x = b.pool("pool4", inception("4e", x, 256, 160, 320, 32, 128, 128))
    x = inception("5a", x, 256, 160, 320, 32, 128, 128)
    x = inception("5b", x, 384, 192, 384, 48, 128, 128)
    x = b.dropout(b.pool("pool5", x, 7, 1, "AVE"), 0.4)
    b.loss(b.fc("classifier", x, 1000))


def googlenet_smooth(b: Builder) -> None:
    """With averages for maxima and TanH for ReLU: no gradient that rounding sends elsewhere."""
    googlenet(b)
    b.text = b.text.replace("pool: MAX", "pool: AVE").replace('"ReLU"', '"TanH"')


def vgg16(b: Builder) -> None:
    x = "data"
    for block, (outputs, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for i in range(depth):
            x = b.conv_relu(f"conv{block}_{i + 1}", x, outputs, 3, pad=1)
        x = b.pool(f"pool{block}", x, 2)
    for name in ("fc6", "fc7"):
        x = b.dropout(b.relu(b.fc(name, x, 4096)))
    b.loss(b.fc("fc8", x, 1000))


def resnet50(b: Builder) -> None:
    x = b.pool("pool1", b.conv_bn("conv1", "data", 64, 7, 2, 3))
    for stage, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for i in range(depth):
            name, stride = f"res{stage}{'abcdef'[i]}", 2 if i == 0 and stage > 2 else 1
            short = x if i else b.conv_bn(f"{name}_1", x, 4 * width, 1, stride, relu=False)
            y = b.conv_bn(f"{name}_2a", x, width, 1, stride)
            y = b.conv_bn(f"{name}_2b", y, width, 3, 1, 1)
            y = b.conv_bn(f"{name}_2c", y, 4 * width, 1, relu=False)
            x = b.relu(b.layer("Eltwise", name, (short, y)))
    b.loss(b.fc("fc1000", b.pool("pool5", x, 7, 1, "AVE"), 1000))


def squeezenet(b: Builder, classes: int = 1000) -> None:
    def fire(name: str, x: str, squeeze: int, expand: int) -> str:
        x = b.conv_relu(f"{name}/squeeze", x, squeeze, 1)
        parts = (b.conv_relu(f"{name}/expand1x1", x, expand, 1), b.conv_relu(f"{name}/expand3x3", x, expand, 3, pad=1))
        return b.layer("Concat", f"{name}/concat", parts)

    x = b.pool("pool1", b.conv_relu("conv1", "data", 64, 3, 2))
    x = b.pool("pool3", fire("fire3", fire("fire2", x, 16, 64), 16, 64))
    x = b.pool("pool5", fire("fire5", fire("fire4", x, 32, 128), 32, 128))
    x = fire("fire7", fire("fire6", x, 48, 192), 48, 192)
    x = b.dropout(fire("fire9", fire("fire8", x, 64, 256), 64, 256))
    b.loss(b.pool("pool10", b.conv_relu("conv10", x, classes, 1), 0, how="AVE"))


def mobilenet(b: Builder) -> None:
    x, channels = b.conv_bn("conv1", "data", 32, 3, 2, 1), 32
    steps = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for i, (outputs, stride) in enumerate(steps, 2):
        x = b.conv_bn(f"conv{i}/dw", x, channels, 3, stride, 1, channels)
        x, channels = b.conv_bn(f"conv{i}/sep", x, outputs, 1), outputs
    b.loss(b.conv("fc7", b.pool("pool6", x, 0, how="AVE"), 1000, 1))


NETS: dict[str, tuple[Callable[[Builder], None], tuple[int, int, int], int]] = {
    "lenet": (lenet, (1, 28, 28), 10),
    "cifar_quick": (cifar_quick, (3, 32, 32), 10),
    "cifar_full": (cifar_full, (3, 32, 32), 10),
    "squeezenet": (squeezenet, (3, 227, 227), 1000),
    "mobilenet": (mobilenet, (3, 224, 224), 1000),
    "googlenet": (googlenet, (3, 224, 224), 1000),
    "googlenet_smooth": (googlenet_smooth, (3, 224, 224), 1000),
    "resnet50": (resnet50, (3, 224, 224), 1000),
    "alexnet": (alexnet, (3, 227, 227), 1000),
    "caffenet": (caffenet, (3, 227, 227), 1000),
    "vgg16": (vgg16, (3, 224, 224), 1000),
}
"""Builder, input (channels, height, width), classes."""

QUICK = ("lenet", "cifar_quick", "cifar_full", "squeezenet")


def case(name: str, phase: str) -> Case:
    """A net forward and backward, in TEST too: fooling images are made with a trained net's."""
    build, size, classes = NETS[name]
    builder = Builder()
    build(builder)
    return Case(builder.text, {"data": (1, *size), "label": ((1,), ("labels", classes))}, phase=phase, params="own")


def summary(name: str, phase: str, real: bool = False) -> dict[str, Any]:
    """What a net gives: its structure and loss; of each array its shape, norm and projection onto a vector of signs."""
    given = run_case(case(name, phase), real)
    arrays, shapes = {}, {}
    signs = np.random.RandomState(zlib.crc32(b"signs")).randint(0, 2, 8191).astype(np.float32) * 2 - 1
    for key, value in given.items():
        if key in ("structure", "loss"):
            continue
        flat = np.asarray(value, np.float32).ravel()
        whole = flat[: flat.size // 8191 * 8191].reshape(-1, 8191)
        rest = flat[whole.size :].astype(np.float64)
        projection = float(whole.sum(0, dtype=np.float64) @ signs + rest @ signs[: rest.size])
        arrays[key] = (float(np.sqrt(np.sum(np.square(flat, dtype=np.float64)))), projection)
        shapes[key] = list(np.shape(value))
    return {"structure": str(given["structure"]), "loss": float(given["loss"]), "arrays": arrays, "shapes": shapes}
