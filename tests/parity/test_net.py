# ruff: noqa: E501
"""Net: what is wrong is named; weights, devices and the second backward."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from torchcaffe import common
from torchcaffe.net import Net

X = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 5 dim: 7 } } } '
FC = 'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } } '
SHARED = 'layer { name: "NAME" type: "InnerProduct" bottom: "x" top: "NAME" param { name: "w" MORE } inner_product_param { num_output: N } } '


def make(tmp_path: Path, text: str, phase: int = caffe_pb2.TRAIN) -> Net:
    (tmp_path / "n.prototxt").write_text(text)
    return Net.from_file(tmp_path / "n.prototxt", phase)


def shared(name: str, outputs: int, more: str = "") -> str:
    return SHARED.replace("NAME", name).replace("N }", f"{outputs} }}").replace("MORE", more)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            X + FC.replace("InnerProduct", "InnerProd"),
            r"unknown layer type 'InnerProd'\n.*'InnerProduct'.*\n.*known types: AbsVal, Accuracy, ",
        ),
        (
            X + FC.replace('bottom: "x"', 'bottom: "xx"'),
            r"'fc' \(InnerProduct\): unknown bottom blob 'xx' \(bottom 0\)\n.*'x'",
        ),
        (X + FC + FC.replace('"fc"', '"fd"'), r"'fd' \(InnerProduct\): top blob 'y' is made by an earlier layer"),
        (
            X + FC.replace('top: "y"', 'top: "y" top: "z"'),
            r"'fc' \(InnerProduct\): takes 1 top blob\(s\), the prototxt gives 2",
        ),
        (
            X + FC.replace("num_output: 3", ""),
            r"'fc' \(InnerProduct\): inner_product_param.num_output must be positive",
        ),
        (X + FC.replace("num_output: 3", "num_output: 3 axis: 2"), r"'fc' \(InnerProduct\): axis 2 is out of range"),
        (
            X + FC.replace("num_output: 3", 'num_output: 3 weight_filler { type: "xavierr" }'),
            r"unknown filler 'xavierr'\n.*'xavier'",
        ),
        (X + FC.replace("top:", "param {} param {} param {} top:"), r"3 param for 2 parameter blob"),
        (X + FC.replace("top:", "propagate_down: true propagate_down: true top:"), "2 propagate_down for 1 bottoms"),
        (X + FC.replace("top:", "loss_weight: 1 loss_weight: 2 top:"), "2 loss_weight for 1 top"),
        (X + FC.replace("top:", "include { phase: TRAIN } exclude { phase: TEST } top:"), "both include and exclude"),
        (
            X + shared("a", 3) + shared("b", 2),
            r"'b' \(InnerProduct\): shares parameter 'w' of shape \(2, 7\) with layer 'a'.*\(3, 7\)",
        ),
        (
            X + shared("a", 3, "lr_mult: 2") + shared("b", 3, "lr_mult: 1"),
            "shared parameter 'w' has lr_mult 1.0, 2.0 before",
        ),
    ],
)
def test_a_wrong_net_is_refused_with_the_layer_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CaffeError, match=r"n\.prototxt: layer " if said.startswith("2") else said):
        make(tmp_path, text)
    with pytest.raises(CaffeError, match=said) as error:
        make(tmp_path, text)
    assert str(tmp_path / "n.prototxt") in str(error.value)


def test_a_label_that_is_no_class_is_refused(tmp_path: Path) -> None:
    net = make(
        tmp_path,
        X
        + 'layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 5 } } } '
        + 'layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "l" }',
    )
    net.blob("t").array[...] = [0, 1, 2, 7, 3]
    with pytest.raises(CaffeError, match=r"'l' \(SoftmaxWithLoss\): label 7 is not one of the 7 classes"):
        net.forward()


def test_second_top_of_the_loss_is_the_softmax(tmp_path: Path) -> None:
    """Real Caffe of this version refuses a second top whatever loss_weight says, so that it cannot judge."""
    net = make(
        tmp_path,
        X
        + 'layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 5 } } } '
        + 'layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "l" top: "p" }',
    )
    x = net.blob("x").array
    x[...] = np.arange(35).reshape(5, 7) % 4
    net.forward()
    expected = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    assert np.max(np.abs(net.blob("p").array - expected)) <= 1e-6
    assert abs(float(net.blob("l").array) + np.log(expected[:, 0]).mean()) <= 1e-6


def test_backward_twice_gives_twice_the_parameter_gradient(tmp_path: Path) -> None:
    net = make(
        tmp_path,
        "force_backward: true "
        + X
        + 'layer { name: "s" type: "Softmax" bottom: "x" top: "s" } '
        + FC.replace('bottom: "x"', 'bottom: "s"'),
    )
    net.blob("x").array[...] = np.random.default_rng(3).standard_normal((5, 7))
    net.layer("fc").blobs[0].array[...] = np.random.default_rng(4).standard_normal((3, 7))
    net.forward()
    gradients = []
    for hot in (1, 2):
        net.blob("y").diff_array[...] = np.eye(3)[[hot] * 5]
        net.backward()
        gradients.append(net.blob("x").diff_array.copy())
    assert np.max(np.abs(gradients[0] - gradients[1])) > 1e-3
    assert np.max(np.abs(net.layer("fc").blobs[1].diff_array - [0, 5, 5])) <= 1e-6


def test_views_are_live(tmp_path: Path) -> None:
    net = make(tmp_path, X + FC)
    y, weights = net.blob("y").array, net.layer("fc").blobs[0].array
    weights[...] = 1
    net.blob("x").array[...] = 2
    net.forward()
    assert np.array_equal(y, np.full((5, 3), 14))


def test_weights_go_from_net_to_net_by_name(tmp_path: Path) -> None:
    common.set_random_seed(3)
    text = X + FC.replace("num_output: 3", 'num_output: 3 weight_filler { type: "xavier" }')
    one, two = make(tmp_path, text), make(tmp_path, text)
    a, b = one.layer("fc").blobs[0].array, two.layer("fc").blobs[0].array
    assert not np.array_equal(a, b)
    two.copy_trained_layers_from(one.to_proto())
    assert np.array_equal(a, b)
    other = make(tmp_path, text.replace("num_output: 3", "num_output: 2"))
    with pytest.raises(CaffeError, match=r"w\.caffemodel: blob 0 of layer 'fc': the shape \(3, 7\).*\(2, 7\)"):
        other.copy_trained_layers_from(one.to_proto(), "w.caffemodel")
    two.share_trained_layers_with(one)
    a[...] = 9
    assert np.array_equal(two.layer("fc").blobs[0].array, a)


def test_reshape_reaches_every_layer(tmp_path: Path) -> None:
    net = make(tmp_path, X + FC)
    net.blob("x").reshape(11, 7)
    net.reshape()
    assert net.blob("y").shape == (11, 3)
    net.blob("x").reshape(11, 8)
    with pytest.raises(CaffeError, match=r"'fc' \(InnerProduct\): a bottom of shape \(11, 8\) has other than 7 inputs"):
        net.reshape()
