from parity import Case

LAYER = 'layer {{ name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param {{ num_output: 6 {} }} }}'
X = {"x": (2, 4, 11, 13)}

CASES = {
    "plain": Case(LAYER.format("kernel_size: 3"), X),
    "pad and stride": Case(LAYER.format("kernel_size: 3 stride: 2 pad: 1"), X),
    "sides": Case(LAYER.format("kernel_h: 5 kernel_w: 3 stride_h: 2 stride_w: 3 pad_h: 2 pad_w: 1"), X),
    "lists": Case(LAYER.format("kernel_size: 5 kernel_size: 3 stride: 2 stride: 3 pad: 0 pad: 1"), X),
    "dilation": Case(LAYER.format("kernel_size: 3 dilation: 2 dilation: 3 pad: 1"), X),
    "group": Case(LAYER.format("kernel_size: 3 group: 2"), X),
    "depthwise": Case(
        LAYER.format("kernel_size: 3 group: 3 pad: 1").replace("num_output: 6", "num_output: 3"), {"x": (2, 3, 11, 13)}
    ),
    "1x1": Case(LAYER.format("kernel_size: 1"), X),
    "no bias": Case(LAYER.format("kernel_size: 3 bias_term: false"), X),
    "volume": Case(
        LAYER.format("kernel_size: 3 kernel_size: 2 kernel_size: 1 stride: 2 pad: 1"), {"x": (2, 3, 5, 7, 11)}
    ),
    "line": Case(LAYER.format("kernel_size: 3 pad: 1"), {"x": (2, 3, 7)}),
    "axis": Case(LAYER.format("kernel_size: 3 axis: 2"), {"x": (2, 5, 3, 7, 11)}),
    "two bottoms": Case(
        LAYER.format("kernel_size: 3").replace('bottom: "x" top: "y"', 'bottom: "x" bottom: "v" top: "y" top: "z"'),
        {"x": (2, 4, 11, 13), "v": (2, 4, 11, 13)},
        param_tol=4e-6,
    ),
    "fillers": Case(LAYER.format('kernel_size: 3 weight_filler { type: "msra" }'), X, params="own"),
}
