# ruff: noqa: E501
from parity import Case

LAYER = 'layer {{ name: "c" type: "Deconvolution" bottom: "x" top: "y" convolution_param {{ num_output: 6 {} }} }}'
X = {"x": (2, 4, 5, 3)}

CASES = {
    "plain": Case(LAYER.format("kernel_size: 3"), X),
    "pad and stride": Case(LAYER.format("kernel_size: 4 stride: 2 pad: 1"), X),
    "sides": Case(LAYER.format("kernel_h: 5 kernel_w: 3 stride_h: 2 stride_w: 3 pad_h: 2 pad_w: 1"), X),
    "dilation": Case(LAYER.format("kernel_size: 3 dilation: 2 dilation: 3 pad: 1"), X),
    "group": Case(LAYER.format("kernel_size: 3 group: 2 stride: 2"), X),
    "1x1": Case(LAYER.format("kernel_size: 1"), X),
    "no bias": Case(LAYER.format("kernel_size: 3 bias_term: false"), X),
    "volume": Case(LAYER.format("kernel_size: 3 kernel_size: 2 kernel_size: 1 stride: 2"), {"x": (2, 3, 4, 5, 1)}),
    "line": Case(LAYER.format("kernel_size: 3 pad: 1 stride: 2"), {"x": (2, 3, 7)}),
    "bilinear upsampling": Case(
        'layer { name: "c" type: "Deconvolution" bottom: "x" top: "y" param { lr_mult: 0 } '
        'convolution_param { num_output: 3 group: 3 kernel_size: 4 stride: 2 pad: 1 bias_term: false weight_filler { type: "bilinear" } } }',
        {"x": (2, 3, 4, 5)},
        params="own",
    ),
    "two bottoms": Case(
        LAYER.format("kernel_size: 3").replace('bottom: "x" top: "y"', 'bottom: "x" bottom: "v" top: "y" top: "z"'),
        {"x": (2, 4, 5, 3), "v": (2, 4, 5, 3)},
        param_tol=4e-6,
    ),
}
