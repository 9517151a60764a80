"""What real Caffe on a CPU cannot judge: errors, gradients in place, stochastic pooling, states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format

from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from torchcaffe import common
from torchcaffe.net import Net


def net(text: str, phase: str = "TRAIN", **inputs: tuple[int, ...]) -> Net:
    layers = "".join(
        f'layer {{ name: "{name}_in" type: "Input" top: "{name}" input_param {{ shape {{ '
        + " ".join(f"dim: {n}" for n in shape)
        + " } } } "
        for name, shape in inputs.items()
    )
    param = text_format.Parse("force_backward: true " + layers + text, caffe_pb2.NetParameter())
    param.state.phase = getattr(caffe_pb2, phase)
    return Net(param)


def random(*shape: int) -> Any:
    return np.random.RandomState(3).uniform(0.1, 1.5, shape).astype(np.float32)


# -- errors: each names the layer, its type and what was expected ------------------------------------------------------

SMALL = {"x": (2, 3, 5, 7)}
ERRORS = {
    "AbsVal in place": ('type: "AbsVal" bottom: "x" top: "x"', SMALL, r"layer 'l' \(AbsVal\): does not work in place"),
    "Eltwise in place": (
        'type: "Eltwise" bottom: "x" bottom: "v" top: "x"',
        {"x": (2, 3), "v": (2, 3)},
        "does not work in place",
    ),
    "Eltwise shapes": (
        'type: "Eltwise" bottom: "x" bottom: "v" top: "y"',
        {"x": (2, 3), "v": (3, 2)},
        r"bottoms of shapes \(2, 3\) and \(3, 2\)",
    ),
    "Eltwise coeff": (
        'type: "Eltwise" bottom: "x" bottom: "v" top: "y" eltwise_param { coeff: 1 }',
        {"x": (2, 3), "v": (2, 3)},
        "1 coeff for 2 bottoms",
    ),
    "Eltwise coeff of a product": (
        'type: "Eltwise" bottom: "x" bottom: "v" top: "y" eltwise_param { operation: PROD coeff: 1 coeff: 2 }',
        {"x": (2, 3), "v": (2, 3)},
        "coeff for SUM only",
    ),
    "ArgMax": ('type: "ArgMax" bottom: "x" top: "y" argmax_param { axis: 1 top_k: 4 }', SMALL, "top_k 4 for 3 values"),
    "BatchNorm lr": ('type: "BatchNorm" bottom: "x" top: "y" param { lr_mult: 1 }', SMALL, "lr_mult 1.*not learnt"),
    "BatchReindex": ('type: "BatchReindex" bottom: "x" bottom: "j" top: "y"', {**SMALL, "j": (2, 1)}, "a vector of"),
    "Bias shape": ('type: "Bias" bottom: "x" bottom: "v" top: "y"', {**SMALL, "v": (5, 3)}, "does not fit"),
    "Bias axes": (
        'type: "Bias" bottom: "x" top: "y" bias_param { num_axes: 4 }',
        SMALL,
        "4 axes from axis 1 on exceed",
    ),
    "Scale axes": ('type: "Scale" bottom: "x" top: "y" scale_param { num_axes: -2 }', SMALL, "num_axes -2 is negative"),
    "Clip": ('type: "Clip" bottom: "x" top: "y"', SMALL, "needs both min and max"),
    "Concat": (
        'type: "Concat" bottom: "x" bottom: "v" top: "y"',
        {**SMALL, "v": (2, 3, 5, 6)},
        "may differ along axis 1 only",
    ),
    "Concat in place": (
        'type: "Concat" bottom: "x" bottom: "v" top: "x"',
        {**SMALL, "v": (2, 4, 5, 7)},
        "does not work in place",
    ),
    "Slice in place": ('type: "Slice" bottom: "x" top: "x" top: "y"', {"x": (3, 4)}, "does not work in place"),
    "Softmax axis": ('type: "Softmax" bottom: "x" top: "y" softmax_param { axis: 4 }', SMALL, "axis 4 is out of range"),
    "Deconvolution to nothing": (
        'type: "Deconvolution" bottom: "x" top: "y" convolution_param { num_output: 2 kernel_size: 2 pad: 3 }',
        SMALL,
        r"gives an empty top, \(2, 2, 0, 2\)",
    ),
    "filler of a number": (
        'type: "PReLU" bottom: "x" top: "y" prelu_param { channel_shared: true filler { type: "xavier" } }',
        SMALL,
        "'xavier' cannot fill a single number",
    ),
    "sparse filler of a number": (
        'type: "PReLU" bottom: "x" top: "y" prelu_param { channel_shared: true filler { type: "gaussian" sparse: 1 } }',
        SMALL,
        "'gaussian' cannot fill a single number",
    ),
    "Concat axes": (
        'type: "Concat" bottom: "x" top: "y" concat_param { axis: 1 concat_dim: 1 }',
        SMALL,
        "both axis and concat_dim",
    ),
    "Contrastive": (
        'type: "ContrastiveLoss" bottom: "x" bottom: "v" bottom: "t" top: "y"',
        {"x": (4, 3), "v": (4, 2), "t": (4,)},
        "both must be N x C",
    ),
    "Crop": (
        'type: "Crop" bottom: "x" bottom: "v" top: "y" crop_param { offset: 2 }',
        {**SMALL, "v": (2, 3, 4, 4)},
        "offset 2 and size 4 exceed the 5 of axis 2",
    ),
    "Deconvolution": (
        'type: "Deconvolution" bottom: "x" top: "y" convolution_param { num_output: 4 kernel_size: 3 group: 2 }',
        SMALL,
        "group 2 does not divide 3 channels",
    ),
    "Embed": ('type: "Embed" bottom: "x" top: "y" embed_param { num_output: 4 }', SMALL, "must be positive"),
    "Euclidean": (
        'type: "EuclideanLoss" bottom: "x" bottom: "t" top: "y"',
        {"x": (2, 3), "t": (2, 4)},
        "as many values in each example",
    ),
    "Exp": ('type: "Exp" bottom: "x" top: "y" exp_param { base: 0 }', SMALL, "base 0.0 is not positive"),
    "Log": ('type: "Log" bottom: "x" top: "y" log_param { base: 1 }', SMALL, "no logarithms to the base 1"),
    "Filter tops": ('type: "Filter" bottom: "x" bottom: "s" top: "y" top: "z"', {**SMALL, "s": (2,)}, "2 tops for 2"),
    "Filter selector": (
        'type: "Filter" bottom: "x" bottom: "s" top: "y"',
        {**SMALL, "s": (3,)},
        "equally many examples",
    ),
    "Flatten": (
        'type: "Flatten" bottom: "x" top: "y" flatten_param { axis: 3 end_axis: 1 }',
        SMALL,
        "end_axis 1 lies before axis 3",
    ),
    "Flatten in place": ('type: "Flatten" bottom: "x" top: "x"', SMALL, "does not work in place"),
    "Hinge": ('type: "HingeLoss" bottom: "x" bottom: "t" top: "y"', {"x": (4, 3), "t": (4, 2)}, "one an example"),
    "Im2col": ('type: "Im2col" bottom: "x" top: "y" convolution_param { }', SMALL, "kernel_size is missing"),
    "Im2col too large": (
        'type: "Im2col" bottom: "x" top: "y" convolution_param { kernel_size: 6 }',
        SMALL,
        "do not fit",
    ),
    "Infogain": (
        'type: "InfogainLoss" bottom: "x" bottom: "t" top: "y"',
        {"x": (4, 3), "t": (4,)},
        "no infogain matrix",
    ),
    "Infogain file": (
        'type: "InfogainLoss" bottom: "x" bottom: "t" top: "y" infogain_loss_param { source: "none.binaryproto" }',
        {"x": (4, 3), "t": (4,)},
        "none.binaryproto",
    ),
    "Infogain size": (
        'type: "InfogainLoss" bottom: "x" bottom: "t" bottom: "h" top: "y"',
        {"x": (4, 3), "t": (4,), "h": (1, 1, 2, 3)},
        "6 values for 3 classes",
    ),
    "LRN": ('type: "LRN" bottom: "x" top: "y" lrn_param { local_size: 4 }', SMALL, "local_size 4 is even"),
    "LRN in place": ('type: "LRN" bottom: "x" top: "x"', SMALL, "does not work in place"),
    "LSTM size": ('type: "LSTM" bottom: "x" bottom: "c" top: "y"', {"x": (4, 3, 5), "c": (4, 3)}, "num_output must be"),
    "LSTM cont": (
        'type: "LSTM" bottom: "x" bottom: "c" top: "y" recurrent_param { num_output: 2 }',
        {"x": (4, 3, 5), "c": (3, 4)},
        "cont is T x N",
    ),
    "RNN bottoms": (
        'type: "RNN" bottom: "x" bottom: "c" top: "y" recurrent_param { num_output: 2 expose_hidden: true }',
        {"x": (4, 3, 5), "c": (4, 3)},
        "takes 3 or 4 bottom blobs",
    ),
    "RNN state": (
        'type: "RNN" bottom: "x" bottom: "c" bottom: "h" top: "y" top: "z" '
        "recurrent_param { num_output: 2 expose_hidden: true }",
        {"x": (4, 3, 5), "c": (4, 3), "h": (1, 3, 4)},
        r"\(1, 3, 2\) is expected",
    ),
    "LSTMUnit": (
        'type: "LSTMUnit" bottom: "c" bottom: "g" bottom: "k" top: "y" top: "z"',
        {"c": (1, 5, 3), "g": (1, 5, 11), "k": (1, 5)},
        "1 x N x 4D",
    ),
    "MVN": ('type: "MVN" bottom: "x" top: "y"', {"x": (2, 3, 4, 5, 6)}, "num, channels, height, width"),
    "PReLU": ('type: "PReLU" bottom: "x" top: "y"', {"x": (5,)}, "no channels"),
    "Reshape": (
        'type: "Reshape" bottom: "x" top: "y" reshape_param { shape { dim: 4 dim: -1 } }',
        SMALL,
        "do not divide by 4",
    ),
    "Reshape two": (
        'type: "Reshape" bottom: "x" top: "y" reshape_param { shape { dim: -1 dim: -1 } }',
        SMALL,
        "at most one -1",
    ),
    "Reshape count": (
        'type: "Reshape" bottom: "x" top: "y" reshape_param { shape { dim: 5 dim: 7 } }',
        SMALL,
        r"as many values as \(5, 7\)",
    ),
    "Reshape copy": (
        'type: "Reshape" bottom: "x" top: "y" reshape_param { shape { dim: 0 } axis: -1 num_axes: 0 }',
        SMALL,
        "copies axis 4",
    ),
    "SigmoidCrossEntropy": (
        'type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "t" top: "y"',
        {"x": (4, 3), "t": (4, 2)},
        "one target for each score",
    ),
    "Slice": ('type: "Slice" bottom: "x" top: "y" top: "z"', SMALL, "2 tops do not divide the 3 of axis 1"),
    "Slice points": (
        'type: "Slice" bottom: "x" top: "y" top: "z" slice_param { slice_point: 3 }',
        SMALL,
        "must rise strictly between 0 and 3",
    ),
    "SPP": ('type: "SPP" bottom: "x" top: "y"', SMALL, "pyramid_height must be positive"),
    "SPP too high": (
        'type: "SPP" bottom: "x" top: "y" spp_param { pyramid_height: 4 }',
        SMALL,
        "smaller than the kernel",
    ),
    "Stochastic pad": (
        'type: "Pooling" bottom: "x" top: "y" pooling_param { pool: STOCHASTIC kernel_size: 3 pad: 1 }',
        SMALL,
        "takes no pad",
    ),
    "Tile": ('type: "Tile" bottom: "x" top: "y"', SMALL, "tiles is missing"),
    "Tile axis": ('type: "Tile" bottom: "x" top: "y" tile_param { tiles: 2 axis: 4 }', SMALL, "axis 4 is out of range"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_names_the_layer_and_what_was_expected(name: str) -> None:
    text, inputs, expected = ERRORS[name]
    with pytest.raises(CaffeError, match=r"layer 'l' \(") as caught:
        net(f'layer {{ name: "l" {text} }}', **inputs)
    with pytest.raises(CaffeError, match=expected):
        raise CaffeError(f"{caught.value.message} {caught.value.hint}")


@pytest.mark.parametrize(
    ("text", "inputs", "blob", "value", "expected"),
    [
        (
            'type: "BatchReindex" bottom: "x" bottom: "j" top: "y"',
            {"x": (4, 3), "j": (5,)},
            "j",
            4,
            "index 4 is not one",
        ),
        (
            'type: "Embed" bottom: "x" top: "y" embed_param { num_output: 2 input_dim: 7 }',
            {"x": (5, 3)},
            "x",
            -1,
            "the bottom holds -1, there are 7 rows",
        ),
        ('type: "HingeLoss" bottom: "x" bottom: "t" top: "y"', {"x": (4, 3), "t": (4,)}, "t", 3, "label 3 is not one"),
        (
            'type: "MultinomialLogisticLoss" bottom: "x" bottom: "t" top: "y"',
            {"x": (4, 3), "t": (4,)},
            "t",
            -2,
            "label -2 is not one",
        ),
    ],
)
def test_values_out_of_range(text: str, inputs: Any, blob: str, value: float, expected: str) -> None:
    made = net(f'layer {{ name: "l" {text} }}', **inputs)
    made.blob(blob).data[...] = value
    with pytest.raises(CaffeError, match=rf"layer 'l' \(.*{expected}"):
        made.forward()


@pytest.mark.parametrize(
    ("text", "inputs", "wrong"),
    [
        ('type: "BatchReindex" bottom: "x" bottom: "s" top: "y"', {"x": (4, 3), "s": (5,)}, "indices"),
        ('type: "SoftmaxWithLoss" bottom: "x" bottom: "s" top: "y"', {"x": (4, 3), "s": (4,)}, "label"),
    ],
)
def test_what_gets_no_gradient_says_so(text: str, inputs: Any, wrong: str) -> None:
    made = net(f'layer {{ name: "l" {text} propagate_down: true propagate_down: true }}', **inputs)
    made.forward()
    made.bottom_needs_backward[-1][-1] = True
    made.layer_needs_backward[-1] = True
    with pytest.raises(CaffeError, match=f"cannot backpropagate.*{wrong}"):
        made.backward()


# -- gradients where Caffe's are wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "function"),
    [
        ('type: "Log" log_param { base: 10 scale: 0.5 shift: 2.5 }', lambda x: (0.5 * x + 2.5).log10()),
        ('type: "Power" power_param { power: 3 scale: -0.5 shift: 2 }', lambda x: (2 - 0.5 * x) ** 3),
        ('type: "Power" power_param { scale: 0.25 shift: 2 }', lambda x: 0.25 * x + 2),
        (
            'type: "MVN"',
            lambda x: (x - x.mean((2, 3), True)) / x.sub(x.mean((2, 3), True)).square().mean((2, 3), True).sqrt(),
        ),
    ],
)
def test_in_place_gradient_is_the_functions(param: str, function: Any) -> None:
    made = net(f'layer {{ name: "l" bottom: "x" top: "x" {param} }}', **SMALL)
    values, dy = random(2, 3, 5, 7), random(7, 5, 3, 2).reshape(2, 3, 5, 7)
    made.blob("x").array[...] = values
    made.forward()
    made.blob("x").diff_array[...] = dy
    made.backward()
    x = torch.from_numpy(values.astype(np.float64)).requires_grad_()
    y = function(x)
    y.backward(torch.from_numpy(dy.astype(np.float64)))
    assert np.abs(made.blob("x").array - y.detach().numpy()).max() <= 1e-5
    assert x.grad is not None
    assert np.abs(made.blob("x").diff_array - x.grad.numpy()).max() <= 1e-4


def test_a_power_has_a_gradient_at_zero() -> None:
    made = net('layer { name: "l" type: "Power" bottom: "x" top: "y" power_param { power: 3 } }', x=(2, 3))
    made.forward()
    made.blob("y").diff[...] = 1
    made.backward()
    assert np.array_equal(made.blob("x").diff_array, np.zeros((2, 3)))


# -- shapes that follow from values, and states ------------------------------------------------------------------------


def test_a_filter_that_keeps_nothing_gives_an_empty_top() -> None:
    made = net('layer { name: "l" type: "Filter" bottom: "x" bottom: "s" top: "y" }', x=(4, 3), s=(4,))
    assert made.blob("y").shape == (4, 3)
    for selector, kept in (([0, 0, 0, 0], []), ([0, 1, 0, -2], [1, 3]), ([1, 1, 1, 1], [0, 1, 2, 3])):
        made.blob("x").array[...] = random(4, 3)
        made.blob("s").array[...] = selector
        made.forward()
        assert made.blob("y").shape == (len(kept), 3)
        assert np.array_equal(made.blob("y").array, random(4, 3)[kept])
        made.blob("y").diff[...] = 2
        made.backward()
        expected = np.zeros((4, 3))
        expected[kept] = 2
        assert np.array_equal(made.blob("x").diff_array, expected)


def test_a_recurrent_layer_goes_on_where_it_stopped_and_takes_other_lengths() -> None:
    text = 'layer {{ name: "l" type: "{}" bottom: "x" bottom: "c" top: "y" recurrent_param {{ num_output: 2 {} }} }}'
    fillers = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'
    for kind in ("LSTM", "RNN"):
        common.set_random_seed(5)
        made = net(text.format(kind, fillers), x=(6, 3, 5), c=(6, 3))
        values, cont = random(6, 3, 5), np.ones((6, 3), np.float32)
        made.blob("x").array[...] = values
        made.blob("c").array[...] = cont
        made.forward()
        whole = made.blob("y").array.copy()
        common.set_random_seed(5)
        halves = net(text.format(kind, fillers), x=(6, 3, 5), c=(6, 3))
        parts = []
        for part in (slice(0, 4), slice(4, 6)):
            halves.blob("x").reshape(part.stop - part.start, 3, 5)
            halves.blob("c").reshape(part.stop - part.start, 3)
            halves.blob("x").array[...] = values[part]
            halves.blob("c").array[...] = cont[part]
            halves.forward()
            parts.append(halves.blob("y").array.copy())
        assert np.abs(np.concatenate(parts) - whole).max() <= 1e-6


def test_an_infogain_matrix_from_a_file_is_the_one_from_a_bottom(tmp_path: Path) -> None:
    proto = caffe_pb2.BlobProto(num=1, channels=1, height=3, width=3)
    proto.data.extend(random(9))
    path = tmp_path / "h.binaryproto"
    path.write_bytes(proto.SerializeToString())
    text = 'layer {{ name: "l" type: "InfogainLoss" bottom: "x" bottom: "t" {} top: "y" {} }}'
    stored = net(text.format("", f'infogain_loss_param {{ source: "{path}" }}'), x=(4, 3), t=(4,))
    given = net(text.format('bottom: "h"', ""), x=(4, 3), t=(4,), h=(1, 1, 3, 3))
    given.blob("h").array[...] = random(9).reshape(1, 1, 3, 3)
    results = []
    for made in (stored, given):
        made.blob("x").array[...] = random(4, 3)
        made.blob("t").array[...] = [0, 2, 1, 2]
        loss = float(made.forward())
        made.backward()
        results.append((loss, made.blob("x").diff_array.copy()))
    assert results[0][0] == results[1][0] > 0
    assert np.array_equal(results[0][1], results[1][1])


# -- stochastic pooling, which real Caffe has on a GPU only: judged by its definition ----------------------------------

STOCHASTIC = (
    'layer {{ name: "p" type: "Pooling" bottom: "x" top: "y" '
    "pooling_param {{ pool: STOCHASTIC kernel_h: 3 kernel_w: 2 stride: {} }} }}"
)


def windows(shape: tuple[int, ...], out: tuple[int, ...], stride: int) -> Any:
    for n, c, h, w in np.ndindex(*out):
        yield (
            (n, c, h, w),
            (n, c, slice(h * stride, min(h * stride + 3, shape[2])), slice(w * stride, min(w * stride + 2, shape[3]))),
        )


@pytest.mark.parametrize("stride", [1, 2])
def test_stochastic_pooling_in_test_is_the_weighted_mean(stride: int) -> None:
    made = net(STOCHASTIC.format(stride), "TEST", x=(2, 4, 7, 6))
    values = np.maximum(np.random.RandomState(1).standard_normal((2, 4, 7, 6)), 0).astype(np.float32)
    values[0, 0, :4] = 0  # windows without anything
    made.blob("x").array[...] = values
    made.forward()
    y = made.blob("y")
    for place, window in windows(values.shape, y.shape, stride):
        part = values[window].astype(np.float64)
        expected = (part**2).sum() / part.sum() if part.sum() else 0
        assert abs(y.array[place] - expected) <= 1e-6
    assert y.array[0, 0, 0, 0] == 0
    y.diff[...] = 1
    made.backward()
    assert np.isfinite(made.blob("x").diff_array).all()


@pytest.mark.parametrize("stride", [1, 2])
def test_stochastic_pooling_in_training_takes_caffes_choice(stride: int) -> None:
    made = net(STOCHASTIC.format(stride), x=(2, 4, 7, 6))
    values = np.maximum(np.random.RandomState(1).standard_normal((2, 4, 7, 6)), 0).astype(np.float32)
    made.blob("x").array[...] = values
    common.set_random_seed(11)
    made.forward()
    y, dy = made.blob("y"), np.arange(1, made.blob("y").count + 1, dtype=np.float32)
    y.diff_array[...] = dy.reshape(y.shape)
    made.backward()
    common.set_random_seed(11)
    drawn = iter(common.generator().uniform(y.count, 0, 1))
    expected, gradient = np.zeros(y.shape, np.float32), np.zeros(values.shape, np.float32)
    for place, window in windows(values.shape, y.shape, stride):
        part = values[window]
        sums = np.cumsum(part.ravel(), dtype=np.float32)
        chosen = int(np.argmax(sums >= next(drawn) * sums[-1]))
        expected[place] = part.ravel()[chosen]
        row, column = np.unravel_index(chosen, part.shape)
        gradient[window][row, column] += y.diff_array[place]
    assert np.array_equal(y.array, expected)
    assert np.array_equal(made.blob("x").diff_array, gradient)


def test_stochastic_pooling_chooses_in_proportion() -> None:
    made = net(STOCHASTIC.format(1), x=(20000, 1, 3, 2))
    values = np.array([[1, 2], [0, 3], [4, 5]], np.float32)
    made.blob("x").array[...] = values
    common.set_random_seed(2)
    made.forward()
    chosen = np.bincount(made.blob("y").array.astype(int).ravel(), minlength=6) / 20000
    assert np.abs(chosen - np.arange(6) / 15).max() <= 0.015  # 4 standard deviations of the likeliest
