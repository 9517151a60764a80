"""A user's script against ``import caffe``: run in real Caffe for the goldens, in torchcaffe for the comparison.

.caffe/bin/python tests/parity/pycaffe_script.py FOLDER [part ...]

Writes ``<part>.json`` to the folder: everything that the module said, numbers as lists. Nothing in here knows which
Caffe it talks to.
"""

# ruff: noqa: C408 - dict() is how net specs are written
from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("GLOG_minloglevel", "2")

NET = """name: "small" force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 5 dim: 2 dim: 7 dim: 6 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 5 } } include { stage: "score" } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "gaussian" std: 0.3 }
                            bias_filler { type: "uniform" min: -1 max: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" param { name: "w" lr_mult: 1 } param { lr_mult: 2 }
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" loss_weight: 3
        include { stage: "score" } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" include { phase: TEST } }
layer { name: "deep" type: "ReLU" bottom: "ip" top: "deep" include { min_level: 2 } }
"""

LAYERS = """
import os
import caffe
import numpy as np

class Affine(caffe.Layer):
    def setup(self, bottom, top):
        words = self.param_str.split()
        self.factor, self.shift = float(words[0]), float(words[1])
        self.calls = ["setup"]
    def reshape(self, bottom, top):
        self.calls.append("reshape")
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        self.calls.append("forward")
        top[0].data[...] = self.factor * bottom[0].data + self.shift
    def backward(self, top, propagate_down, bottom):
        self.calls.append("backward %d %s" % (len(propagate_down), [bool(p) for p in propagate_down]))
        bottom[0].diff[...] = self.factor * top[0].diff

class Learnt(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs.add_blob(2, 3)
        self.blobs[0].data[0] = 0.5
        self.blobs[1].data[...] = np.arange(6).reshape(2, 3)
    def reshape(self, bottom, top):
        top[0].reshape(2, 3)
    def forward(self, bottom, top):
        top[0].data[...] = self.blobs[0].data[0] * self.blobs[1].data
    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[0] += (top[0].diff * self.blobs[1].data).sum()
        self.blobs[1].diff[...] += top[0].diff * self.blobs[0].data[0]

class Phase(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape()
    def forward(self, bottom, top): top[0].data[()] = self.phase
    def backward(self, top, propagate_down, bottom): pass

class Two(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise ValueError("two bottoms are needed, not %d" % len(bottom))
    def reshape(self, bottom, top):
        top[0].reshape(1)
    def forward(self, bottom, top):
        self.diff = bottom[0].data - bottom[1].data
        top[0].data[0] = (self.diff ** 2).sum() / bottom[0].num / 2.
    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if propagate_down[i]:
                bottom[i].diff[...] = (1 - 2 * i) * self.diff / bottom[i].num * top[0].diff[0]

class Broken(caffe.Layer):
    def setup(self, bottom, top):
        if self.param_str == "setup": raise RuntimeError("broken in setup")
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top):
        raise KeyError("broken in forward")
    def backward(self, top, propagate_down, bottom):
        raise IndexError("broken in backward")
"""

random = np.random.RandomState(5)
X = random.standard_normal((12, 2, 7, 6)).astype(np.float32)
TOP = random.standard_normal((12, 4)).astype(np.float32)


def plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, (dict, OrderedDict)):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "dtype": str(value.dtype), "values": value.astype(float).ravel().tolist()}
    if isinstance(value, (str, int, bool, type(None))):
        return value
    if isinstance(value, (float, np.floating, np.integer)):
        return float(value)
    return [plain(item) for item in value]


def error(function: Any, *arguments: Any, **named: Any) -> list[str]:
    """The classes of the exception that a call ends in; "no error" if in none."""
    try:
        function(*arguments, **named)
    except Exception as raised:
        return [cls.__name__ for cls in type(raised).__mro__]
    return ["no error"]


def write(text: str, name: str = "net.prototxt") -> str:
    Path(name).write_text(text)
    return str(Path(name).resolve())


def part_net(caffe: Any, say: Any) -> None:
    path = write(NET)
    caffe.set_random_seed(7)
    net = caffe.Net(path, caffe.TEST)
    say("names", [list(net.blobs), list(net.params), net.inputs, net.outputs, list(net._layer_names)])
    say("tops", net.top_names)
    say("bottoms", net.bottom_names)
    say("types", [layer.type for layer in net.layers])
    say("layer_dict", {name: [layer.type, len(layer.blobs)] for name, layer in net.layer_dict.items()})
    say("ids", [list(net._top_ids(4)), list(net._bottom_ids(4)), list(net._inputs), list(net._outputs)])
    say("shapes", {name: list(blob.shape) for name, blob in net.blobs.items()})
    say("legacy", [net.blobs["ip"].num, net.blobs["ip"].channels, net.blobs["ip"].height, net.blobs["data"].width])
    say("count", net.blobs["data"].count)
    say("weights", {name: [blob.data for blob in blobs] for name, blobs in net.params.items()})
    say("loss_weights", net.blob_loss_weights)
    net.blobs["data"].data[...] = X[:5]
    say("forward", net.forward())
    say("conv", net.blobs["conv"].data)
    net.blobs["ip"].diff[...] = TOP[:5]
    say("backward", net.backward(start="ip"))
    say("to pool", net.backward(start="ip", end="ip", diffs=["data"]))
    say("partial", net.forward(start="pool", end="pool", blobs=["conv"]))
    say("kwargs", net.forward(blobs=["ip"], data=X[5:10]))
    say("diffs", net.backward(prob=TOP[:5]))
    say("all", net.forward_all(blobs=["ip"], data=X))
    both = net.forward_backward_all(blobs=["ip"], diffs=["pool"], data=X, prob=TOP)
    say("both", [both[0], both[1]])
    say("param diffs", {name: [blob.diff for blob in blobs] for name, blobs in net.params.items()})
    view = net.params["ip"][0].diff
    net.clear_param_diffs()
    say("cleared", [float(np.abs(view).max()), float(np.abs(net.params["conv"][0].diff).max())])
    # views are live
    weights = net.params["ip"][0].data
    weights[...] = 1
    net.params["ip"][1].data[:] = [1, 2, 3, 4]
    net.forward()
    say("live", net.blobs["ip"].data)
    data = net.blobs["data"].data
    data[0] = 0
    net.forward()
    say("live input", net.blobs["ip"].data)
    # reshape
    net.blobs["data"].reshape(3, 2, 7, 6)
    say("not yet", list(net.blobs["conv"].shape))
    say("old data stays", net.blobs["data"].data)
    net.reshape()
    say("reshaped", {name: list(blob.shape) for name, blob in net.blobs.items()})
    # callbacks
    net = caffe.Net(path, caffe.TRAIN, stages=["score"], level=2)
    say("train", [list(net._layer_names), net.outputs, net.blob_loss_weights])
    calls: list[list[Any]] = []
    for when in ("before_forward", "after_forward", "before_backward", "after_backward"):
        getattr(net, when)(lambda i, when=when: calls.append([when, int(i)]))
    net.forward(end="pool")
    net.forward(start="ip")
    net.backward()
    say("callbacks", calls)
    other = caffe.Net(path, phase=caffe.TEST, level=2)
    say("level", [list(other._layer_names), other.outputs])
    # wrong use
    say("missing file", error(caffe.Net, "none.prototxt", caffe.TEST)[-3:])
    say("wrong arrays", error(other.forward, dat=X)[-2:])
    say("wrong size", error(other.forward, data=X)[-2:])
    say("wrong diffs", error(other.backward, loss=1)[-2:])
    say("no setter", error(setattr, other.blobs["ip"], "data", 1)[-3:])
    say("wrong shape", error(other.blobs["ip"].data.__setitem__, Ellipsis, np.zeros((2, 2)))[-3:])


def part_weights(caffe: Any, say: Any) -> None:
    path = write(NET)
    caffe.set_random_seed(11)
    net = caffe.Net(path, caffe.TEST)
    net.save("net.caffemodel")
    stored = caffe.proto.caffe_pb2.NetParameter()
    stored.ParseFromString(Path("net.caffemodel").read_bytes())
    say("stored", {layer.name: [list(b.shape.dim) + list(b.data) for b in layer.blobs] for layer in stored.layer})
    for arguments in ((path, "net.caffemodel", caffe.TEST), (path, caffe.TEST, 0, None, "net.caffemodel")):
        caffe.set_random_seed(12)
        again = caffe.Net(*arguments)
        say(f"same {len(arguments)}", float(np.abs(again.params["ip"][0].data - net.params["ip"][0].data).max()))
    again.copy_from("net.caffemodel")
    again.share_with(net)
    net.params["conv"][0].data[...] = 9
    say("shared", float(again.params["conv"][0].data.min()))
    say("no weights", error(caffe.Net, path, caffe.TEST, weights="none")[-3:])


def part_hdf5(caffe: Any, say: Any) -> None:
    import h5py

    path = write(NET)
    caffe.set_random_seed(11)
    net = caffe.Net(path, caffe.TEST)
    net.save_hdf5("net.caffemodel.h5")
    with h5py.File("net.caffemodel.h5", "r") as file:
        found: list[Any] = []
        file["data"].visititems(
            lambda name, item: found.append([name, np.array(item) if hasattr(item, "shape") else 0])
        )
    say("stored", found)
    before = net.params["ip"][0].data.copy()
    net.params["ip"][0].data[...] = 0
    net.load_hdf5("net.caffemodel.h5")
    say("same", float(np.abs(net.params["ip"][0].data - before).max()))
    net.params["ip"][0].data[...] = 0
    net.copy_from("net.caffemodel.h5")
    say("same by name", float(np.abs(net.params["ip"][0].data - before).max()))


def part_python(caffe: Any, say: Any) -> None:
    write(LAYERS, "script_layers.py")
    layer = (
        'layer {{ name: "{0}" type: "Python" {1} python_param {{ module: "script_layers" layer: "{2}" {3} }} {4} }}\n'
    )
    data = 'layer {{ name: "{0}" type: "Input" top: "{0}" input_param {{ shape {{ dim: 4 dim: 3 }} }} }}\n'
    path = write(
        "force_backward: true\n"
        + data.format("data")
        + layer.format("a", 'bottom: "data" top: "a"', "Affine", 'param_str: "10 1"', "")
        + layer.format("b", 'bottom: "a" top: "b"', "Affine", 'param_str: "-2 0"', "")
        + layer.format("l", 'top: "l"', "Learnt", "", 'param { name: "one" }')
    )
    net = caffe.Net(path, caffe.TRAIN)
    net.blobs["data"].data[...] = np.arange(12).reshape(4, 3)
    say("forward", net.forward())
    net.blobs["b"].diff[...] = 7
    net.blobs["l"].diff[...] = np.arange(6).reshape(2, 3)
    net.params["l"][0].diff[...] = 0
    net.params["l"][1].diff[...] = 0
    say("backward", net.backward())
    say("calls", [name for name in net.layers[1].calls if name != "reshape"])
    say("own object", [type(net.layers[1]).__name__, net.layers[1].factor, net.layers[1].type])
    say("params", {name: [blob.data for blob in blobs] for name, blobs in net.params.items()})
    say("param diffs", {name: [blob.diff for blob in blobs] for name, blobs in net.params.items()})
    net.blobs["data"].reshape(2, 3)
    net.reshape()
    say("reshape", [list(net.blobs["b"].shape), net.forward()])
    net.save("learnt.caffemodel")
    net.params["l"][0].data[...] = 100
    net.copy_from("learnt.caffemodel")
    say("saved", float(net.params["l"][0].data[0]))
    path = write(layer.format("p", 'top: "phase"', "Phase", "", ""))
    say("phase", [float(caffe.Net(path, phase).forward()["phase"]) for phase in (caffe.TRAIN, caffe.TEST)])
    path = write(
        "force_backward: true\n"
        + data.format("x")
        + data.format("y")
        + layer.format("loss", 'bottom: "x" bottom: "y" top: "loss"', "Two", "", "loss_weight: 2")
    )
    net = caffe.Net(path, caffe.TRAIN)
    net.blobs["x"].data[...] = X[0, 0, :4, :3]
    net.blobs["y"].data[...] = X[1, 0, :4, :3]
    say("loss", [net.forward(), net._forward(0, len(net.layers) - 1), net.backward(), net.blob_loss_weights])
    for where in ("setup", "forward"):
        path = write(
            data.format("x") + layer.format("n", 'bottom: "x" top: "n"', "Broken", f'param_str: "{where}"', "")
        )
        if where == "setup":
            say(where, error(caffe.Net, path, caffe.TEST)[0])
        else:
            broken = caffe.Net(path, caffe.TEST)
            say(where, error(broken.forward)[0])
            say("backward", error(broken.backward)[0])
    path = write(data.format("x") + layer.format("n", 'bottom: "x" top: "n"', "Two", "", ""))
    say("own error", error(caffe.Net, path, caffe.TEST)[0])


def part_memory(caffe: Any, say: Any) -> None:
    path = write(
        """layer { name: "m" type: "MemoryData" top: "data" top: "label"
        memory_data_param { batch_size: 4 channels: 2 height: 3 width: 5 } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
                inner_product_param { num_output: 2 weight_filler { type: "constant" value: 1 } } }"""
    )
    net = caffe.Net(path, caffe.TEST)
    say("shapes", {name: list(blob.shape) for name, blob in net.blobs.items()})
    data = random_like((8, 2, 3, 5))
    labels = np.arange(8, dtype=np.float32)
    net.set_input_arrays(data, labels)
    say("batches", [[net.forward()["ip"].copy(), net.blobs["label"].data.copy()] for _ in range(3)])
    data[...] = 1
    say("changed", [net.forward()["ip"].copy()])
    for name, wrong, label in (
        ("double", data.astype(float), labels),
        ("count", data[:6], labels[:6]),
        ("shape", data[:, :, :, :4].copy(), labels),
        ("labels", data, labels[:4]),
        ("strided", data[:, ::-1], labels),
    ):
        say(name, error(net.set_input_arrays, wrong, label)[-4:])
    other = caffe.Net(write(NET), caffe.TEST)
    say("other net", error(other.set_input_arrays, data, labels)[-4:])


def part_spec(caffe: Any, say: Any) -> None:
    from caffe import layers as L
    from caffe import params as P

    def lenet() -> Any:
        n = caffe.NetSpec()
        n.data, n.label = L.DummyData(
            shape=[dict(dim=[64, 1, 28, 28]), dict(dim=[64, 1, 1, 1])], transform_param=dict(scale=1.0 / 255), ntop=2
        )
        n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"))
        n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
        n.ip1 = L.InnerProduct(n.pool1, num_output=500, param=[dict(lr_mult=1, decay_mult=1), dict(lr_mult=2)])
        n.relu1 = L.ReLU(n.ip1, in_place=True)
        n.ip2 = L.InnerProduct(n.relu1, num_output=10, bias_filler=dict(type="constant", value=0.5))
        n.loss = L.SoftmaxWithLoss(n.ip2, n.label, loss_weight=2, include=dict(phase=caffe.TEST), name="total")
        return n.to_proto()

    def anonymous() -> Any:
        data, label = L.DummyData(shape=[dict(dim=[5, 3])], ntop=2)
        first = L.InnerProduct(data, num_output=4)
        second = L.InnerProduct(first, num_output=3, inner_product_param=dict(axis=-1))
        return caffe.to_proto(L.SoftmaxWithLoss(second, label), L.Split(data, ntop=3)[1])

    n = caffe.NetSpec()
    n["a/b"] = L.Input(shape=dict(dim=[2, 3]))
    n.silence = L.Silence(n["a/b"], ntop=0)
    n.kernel = L.Convolution(n["a/b"], kernel_size=[3, 5], pad=[1], num_output=np.int64(2), engine=P.Convolution.CAFFE)
    n.python = L.Python(n.kernel, module="m", layer="l", param_str="{}", ntop=1)
    n.power = L.Power(n.python, power=2, scale=0.5, propagate_down=[False])
    for name, proto in (("lenet", lenet()), ("anonymous", anonymous()), ("others", n.to_proto())):
        say(name, proto.SerializeToString(deterministic=True).hex())
    path = write(str(lenet()))
    say("runs", list(caffe.Net(path, caffe.TEST).blobs))
    say("top", L.Input(shape=dict(dim=[1])).to_proto().SerializeToString(deterministic=True).hex())
    say("no top", error(L.ReLU, "data")[-3:])
    say("enum", [P.Pooling.AVE, P.Eltwise.PROD, P.Loss.VALID])


def part_coord(caffe: Any, say: Any) -> None:
    from caffe import coord_map as C
    from caffe import layers as L

    def number(result: Any) -> Any:
        return [result[0], *[np.array(value, float).ravel() for value in result[1:]]]

    data = L.Input(shape=dict(dim=[2, 3, 40, 44]))
    kinds = [
        dict(kernel_size=3),
        dict(kernel_size=[5, 3], stride=2, pad=[1, 2]),
        dict(kernel_size=3, dilation=2, stride=3),
        dict(kernel_size=5, axis=2),
    ]
    for i, kind in enumerate(kinds):
        conv = L.Convolution(data, num_output=4, **kind)
        deconv = L.Deconvolution(data, convolution_param=dict(num_output=4, **kind))
        say(f"maps {i}", [number(C.coord_map(top.fn)) for top in (conv, deconv)])
    pool = L.Pooling(data, kernel_size=3, stride=2)
    say("pool", number(C.coord_map(pool.fn)))
    say("crop", [number(C.coord_map(L.Crop(data, pool, axis=2, offset=o).fn)) for o in (3, [3, 4])])
    say("relu", C.coord_map(L.ReLU(data).fn)[0])
    say("compose", number(C.compose((2, 2.0, 3), (2, 4, 5))))
    say("inverse", number(C.inverse((2, 4, 5))))
    conv = L.Convolution(data, kernel_size=3, num_output=3)
    down = L.Pooling(L.ReLU(conv), kernel_size=2, stride=2)
    up = L.Deconvolution(down, convolution_param=dict(num_output=3, kernel_size=4, stride=2, pad=0))
    pairs = [(up, data), (data, up), (down, data), (conv, up), (L.Eltwise(conv, L.Pooling(data, kernel_size=3)), data)]
    say("from to", [number(C.coord_map_from_to(*pair)) for pair in pairs])
    big = L.Convolution(data, kernel_size=3, pad=20, num_output=3)
    crop = C.crop(big, data)
    say("crop of", [crop.fn.type_name, crop.fn.params])
    say("scale", error(C.crop, down, data)[-3:])
    say("negative", error(C.crop, data, big)[-3:])
    say("unconnected", error(C.coord_map_from_to, conv, L.Input())[-3:])
    say("undefined", error(C.coord_map, L.InnerProduct(data).fn)[0])
    mixed = L.Convolution(L.Convolution(data, kernel_size=3, axis=2), kernel_size=3)
    say("axes", error(C.coord_map_from_to, mixed, data)[0])


def part_io(caffe: Any, say: Any) -> None:
    io = caffe.io
    pixels = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    for name, array in (("bytes", pixels), ("floats", pixels / 7)):
        datum = io.array_to_datum(array, 5)
        say(f"datum {name}", [datum.SerializeToString().hex(), io.datum_to_array(datum)])
        say(f"no label {name}", [io.array_to_datum(array).SerializeToString().hex()])
    say("datum shape", error(io.array_to_datum, pixels[0])[-3:])
    blob = io.array_to_blobproto(pixels / 7, pixels)
    say("blob", [blob.SerializeToString().hex(), io.blobproto_to_array(blob), io.blobproto_to_array(blob, True)])
    legacy = caffe.proto.caffe_pb2.BlobProto(num=1, channels=2, height=3, width=5, data=pixels.ravel().tolist())
    say("legacy", io.blobproto_to_array(legacy))
    say("scalar", io.blobproto_to_array(io.array_to_blobproto(np.array(123))))
    text = io.arraylist_to_blobprotovector_str([pixels, pixels[0] / 2])
    say("vector", [text.hex(), io.blobprotovector_str_to_arraylist(text)])
    image = np.random.RandomState(3).uniform(0, 1, (9, 8, 3)).astype(np.float32)
    transformer = io.Transformer({"data": (1, 3, 5, 7)})
    say("plain", error(transformer.preprocess, "data", image)[0])
    transformer.set_transpose("data", (2, 0, 1))
    say("transposed", transformer.preprocess("data", image))
    transformer.set_channel_swap("data", (2, 1, 0))
    transformer.set_raw_scale("data", 255)
    transformer.set_mean("data", np.array([104.0, 117.0, 123.0]))
    say("mean", transformer.preprocess("data", image.copy()))
    transformer.set_mean("data", np.random.RandomState(4).uniform(90, 120, (3, 9, 10)))
    transformer.set_input_scale("data", 0.017)
    done = transformer.preprocess("data", image.copy())
    say("mean image", [transformer.mean["data"], done, transformer.deprocess("data", done)])
    for name, call in (
        ("input", lambda: transformer.preprocess("none", image)),
        ("transpose", lambda: transformer.set_transpose("data", (1, 0))),
        ("swap", lambda: transformer.set_channel_swap("data", (1, 0))),
        ("channels", lambda: transformer.set_mean("data", np.ones(2))),
        ("axes", lambda: transformer.set_mean("data", np.ones((1, 3, 5, 7)))),
    ):
        say(f"wrong {name}", error(call)[-2:])
    shapes = {"one": image[:, :, :1], "three": image, "five": np.concatenate([image, image[:, :, :2]], 2)}
    for name, array in shapes.items():
        for order in (0, 1, 3):
            say(f"resize {name} {order}", [io.resize_image(array, size, order) for size in ((4, 5), (13, 11))])
    say("flat", io.resize_image(np.full((4, 5, 3), 2.5), (2, 3)))
    say("oversample", io.oversample([image, image[::-1]], (4, 5)))


def part_classifier(caffe: Any, say: Any) -> None:
    from skimage.io import imsave

    path = write(
        """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 7 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
                inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.01 } } }
        layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }"""
    )
    caffe.set_random_seed(3)
    caffe.Net(path, caffe.TEST).save("c.caffemodel")
    images = [np.random.RandomState(i).uniform(0, 1, (8 + i, 12 - i, 3)).astype(np.float32) for i in range(3)]
    options = dict(mean=np.array([100.0, 110.0, 120.0]), raw_scale=255, channel_swap=(2, 1, 0))
    classifier = caffe.Classifier(path, "c.caffemodel", image_dims=(9, 10), **options)
    say("oversampled", classifier.predict(images))
    say("centre", classifier.predict(images, oversample=False))
    say("plain", caffe.Classifier(path, "c.caffemodel").predict([images[0]], oversample=False))
    imsave("image.png", (images[1] * 255).astype(np.uint8), check_contrast=False)
    windows = np.array([[0, 0, 5, 6], [2, 3, 8, 10], [1, 1, 9, 11]])
    real_load = caffe.io.load_image
    caffe.io.load_image = lambda name, color=True: images[1]  # real Caffe's fails beside current scikit-image
    try:
        detector = caffe.Detector(path, "c.caffemodel", **options)
        found = detector.detect_windows([("image.png", windows)])
        say("windows", [[item["window"], item["prediction"], item["filename"]] for item in found])
    finally:
        caffe.io.load_image = real_load


def part_solver(caffe: Any, say: Any) -> None:
    write(NET)
    write(
        """net: "net.prototxt" base_lr: 0.05 lr_policy: "step" stepsize: 3 gamma: 0.5 momentum: 0.9 weight_decay: 0.01
        max_iter: 9 display: 0 random_seed: 4 snapshot_prefix: "s" train_state { stage: "score" }
        test_iter: 2 test_interval: 100 test_initialization: false snapshot_after_train: true test_state { level: 2 }
        """,
        "solver.prototxt",
    )

    def feed(net: Any) -> None:
        net.blobs["data"].data[...] = X[:5]
        net.blobs["label"].data[...] = [0, 1, 2, 3, 1]

    solver = caffe.SGDSolver("solver.prototxt")
    feed(solver.net)
    say("start", [solver.iter, solver.lr, len(solver.test_nets), solver.param.max_iter, solver.param.base_lr])
    say("nets", [list(solver.net.blobs), list(solver.test_nets[0].blobs)])
    calls: list[str] = []
    solver.add_callback(lambda: calls.append("start"), lambda: calls.append("ready"))
    losses = []
    for _ in range(4):
        solver.step(1)
        losses.append([solver.iter, solver.lr, float(solver.net.blobs["loss"].data)])
    say("steps", losses)
    say("callbacks", calls)
    say("weights", {name: [blob.data for blob in blobs] for name, blobs in solver.net.params.items()})
    solver.snapshot()
    say("files", sorted(path.name for path in Path().glob("s_iter*")))
    solver.step(2)
    say("more", [solver.iter, solver.net.params["ip"][0].data])
    solver.restore("s_iter_4.solverstate")
    say("restored", [solver.iter, solver.net.params["ip"][0].data])
    solver.step(2)
    say("again", [solver.iter, solver.net.params["ip"][0].data])
    solver.net.forward()
    solver.net.backward()
    solver.apply_update()
    say("applied", [solver.net.params["ip"][0].data])
    solver.share_weights(solver.test_nets[0])
    solver.net.params["ip"][0].data[...] = 3
    say("shared", float(solver.test_nets[0].params["ip"][0].data.min()))
    other = caffe.get_solver("solver.prototxt")
    say("type", type(other).__name__)
    feed(other.net)
    other.solve()
    say("solved", [other.iter, float(other.net.blobs["loss"].data), (Path("s_iter_9.caffemodel")).exists()])
    for kind in ("Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"):
        text = Path("solver.prototxt").read_text()
        momentum = "" if kind in ("Nesterov", "AdaDelta", "Adam") else "momentum: 0"
        text = text if not momentum else text.replace("momentum: 0.9", momentum)
        write(text.replace("max_iter", f'type: "{kind}" delta: 1e-6 max_iter'), "other.prototxt")
        by_type = caffe.get_solver("other.prototxt")
        feed(by_type.net)
        by_type.step(3)
        by_class = getattr(caffe, f"{kind}Solver")("other.prototxt")
        say(kind, [type(by_type).__name__, type(by_class).__name__, by_type.net.params["ip"][0].data])


PARTS = {name[len("part_") :]: function for name, function in list(globals().items()) if name.startswith("part_")}


def random_like(shape: tuple[int, ...]) -> Any:
    """float32, the same in every NumPy."""
    return np.random.RandomState(8).standard_normal(shape).astype(np.float32)


def run(part: str) -> dict[str, Any]:
    """What a part says, in a folder of its own."""
    import caffe

    said: dict[str, Any] = {}
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        try:
            PARTS[part](caffe, lambda name, value: said.__setitem__(name, plain(value)))
        finally:
            os.chdir(home)
            sys.path.remove(folder)
            sys.modules.pop("script_layers", None)
    return said


if __name__ == "__main__":
    for wanted in sys.argv[2:] or PARTS:
        print(wanted, file=sys.stderr, flush=True)  # real Caffe aborts on a mistake: the last line says where
        (Path(sys.argv[1]) / f"{wanted}.json").write_text(json.dumps(run(wanted), indent=0) + "\n")
