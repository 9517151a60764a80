# ruff: noqa: E501
"""Bias, Scale, PReLU, Eltwise, Concat, Slice, Tile, Split between them."""

from parity import Case

ONE = 'layer {{ name: "b" type: "{}" bottom: "x" top: "{}" {} }}'
TWO = 'layer {{ name: "b" type: "{}" bottom: "x" bottom: "v" top: "{}" {} }}'
X = (2, 3, 5, 7)


def _eltwise(param: str, top: str = "y", bottoms: int = 3, fill: object = "normal") -> Case:
    names = "xvw"[:bottoms]
    bottom = " ".join(f'bottom: "{n}"' for n in names)
    return Case(
        f'layer {{ name: "e" type: "Eltwise" {bottom} top: "{top}" eltwise_param {{ {param} }} }}',
        dict.fromkeys(names, (X, fill)),
    )


CASES = {
    "Bias": Case(ONE.format("Bias", "y", ""), {"x": X}),
    "Bias in place": Case(ONE.format("Bias", "x", ""), {"x": X}),
    "Bias filler": Case(ONE.format("Bias", "y", 'bias_param { filler { type: "gaussian" } }'), {"x": X}, params="own"),
    "Bias axes": Case(ONE.format("Bias", "y", "bias_param { axis: 1 num_axes: 2 }"), {"x": X}),
    "Bias all axes": Case(ONE.format("Bias", "y", "bias_param { axis: -3 num_axes: -1 }"), {"x": X}),
    "Bias scalar": Case(ONE.format("Bias", "y", "bias_param { num_axes: 0 }"), {"x": X}, param_tol=4e-6),
    "Bias bottom": Case(TWO.format("Bias", "y", "bias_param { axis: 0 }"), {"x": X, "v": (2, 3)}),
    "Bias bottom in place": Case(TWO.format("Bias", "x", "bias_param { axis: 2 }"), {"x": X, "v": (5, 7)}),
    "Scale": Case(ONE.format("Scale", "y", ""), {"x": X}),
    "Scale in place": Case(ONE.format("Scale", "x", "scale_param { bias_term: true }"), {"x": X}),
    "Scale own": Case(
        ONE.format("Scale", "y", 'scale_param { bias_term: true bias_filler { type: "gaussian" } }'),
        {"x": X},
        params="own",
    ),
    "Scale filler": Case(
        ONE.format("Scale", "y", 'scale_param { filler { type: "uniform" min: 1 max: 2 } bias_term: true }'),
        {"x": X},
        params="own",
    ),
    "Scale axes": Case(ONE.format("Scale", "y", "scale_param { axis: 1 num_axes: 2 bias_term: true }"), {"x": X}),
    "Scale all axes": Case(ONE.format("Scale", "y", "scale_param { axis: 0 num_axes: -1 bias_term: true }"), {"x": X}),
    "Scale scalar": Case(
        ONE.format("Scale", "y", "scale_param { num_axes: 0 bias_term: true }"), {"x": X}, param_tol=4e-6
    ),
    "Scale bottom": Case(TWO.format("Scale", "y", "scale_param { axis: 0 }"), {"x": X, "v": (2, 3)}),
    "Scale bottom and bias": Case(TWO.format("Scale", "y", "scale_param { bias_term: true }"), {"x": X, "v": (3, 5)}),
    "Scale bottom in place": Case(TWO.format("Scale", "x", "scale_param { axis: 2 }"), {"x": X, "v": (5, 7)}),
    "Scale like bottom": Case(TWO.format("Scale", "y", "scale_param { axis: 0 }"), {"x": X, "v": X}),
    "Scale by a scalar": Case(TWO.format("Scale", "y", ""), {"x": X, "v": ()}, backward_tol=4e-6),
    "Scale frozen": Case(ONE.format("Scale", "y", "param { lr_mult: 0 } scale_param { bias_term: true }"), {"x": X}),
    "PReLU": Case(ONE.format("PReLU", "y", ""), {"x": X}),
    "PReLU own": Case(ONE.format("PReLU", "y", ""), {"x": X}, params="own"),
    "PReLU in place": Case(ONE.format("PReLU", "x", ""), {"x": X}),
    "PReLU shared": Case(
        ONE.format("PReLU", "y", 'prelu_param { channel_shared: true filler { type: "gaussian" } }'),
        {"x": X},
        params="own",
    ),
    "PReLU of vectors": Case(ONE.format("PReLU", "y", ""), {"x": (5, 7)}),
    "PReLU of zeros": Case(ONE.format("PReLU", "y", ""), {"x": ((5, 7), "zero")}),
    "Eltwise sum": _eltwise(""),
    "Eltwise sum of two": _eltwise("operation: SUM", bottoms=2),
    "Eltwise coefficients": _eltwise("coeff: 0.5 coeff: -1 coeff: 2"),
    "Eltwise difference": _eltwise("coeff: 1 coeff: -1", bottoms=2),
    "Eltwise product": _eltwise("operation: PROD"),
    "Eltwise product of two": _eltwise("operation: PROD", bottoms=2),
    "Eltwise product, unstable": _eltwise("operation: PROD stable_prod_grad: false"),
    "Eltwise product with zeros": _eltwise("operation: PROD", fill=("labels", 2)),
    "Eltwise maximum": _eltwise("operation: MAX"),
    "Eltwise maximum of two": _eltwise("operation: MAX", bottoms=2),
    "Eltwise maximum, ties": _eltwise("operation: MAX", fill=("labels", 2)),
    "Eltwise residual": Case(
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 3 kernel_size: 3 pad: 1 } }'
        'layer { name: "e" type: "Eltwise" bottom: "x" bottom: "c" top: "e" }'
        'layer { name: "r" type: "ReLU" bottom: "e" top: "e" }'
        'layer { name: "d" type: "Convolution" bottom: "e" top: "d" convolution_param { num_output: 3 kernel_size: 1 } }'
        'layer { name: "f" type: "Eltwise" bottom: "e" bottom: "d" top: "f" }',
        {"x": X},
        backward_tol=4e-6,
        param_tol=4e-6,
    ),
    "Concat": Case(
        'layer { name: "c" type: "Concat" bottom: "x" bottom: "v" bottom: "w" top: "y" }',
        {"x": X, "v": (2, 1, 5, 7), "w": (2, 4, 5, 7)},
    ),
    "Concat axis": Case(
        'layer { name: "c" type: "Concat" bottom: "x" bottom: "v" top: "y" concat_param { axis: -1 } }',
        {"x": X, "v": (2, 3, 5, 4)},
    ),
    "Concat dim": Case(
        'layer { name: "c" type: "Concat" bottom: "x" bottom: "v" top: "y" concat_param { concat_dim: 0 } }',
        {"x": X, "v": (4, 3, 5, 7)},
    ),
    "Concat of one": Case('layer { name: "c" type: "Concat" bottom: "x" top: "y" }', {"x": X}),
    "Concat and Slice of one share its memory": Case(
        'layer { name: "c" type: "Concat" bottom: "x" top: "y" } layer { name: "r" type: "ReLU" bottom: "y" top: "y" }'
        'layer { name: "s" type: "Slice" bottom: "v" top: "z" } layer { name: "q" type: "TanH" bottom: "z" top: "z" }',
        {"x": X, "v": (5, 2, 3)},
    ),
    "Concat of one twice": Case('layer { name: "c" type: "Concat" bottom: "x" bottom: "x" top: "y" }', {"x": X}),
    "Slice": Case('layer { name: "s" type: "Slice" bottom: "x" top: "a" top: "b" top: "c" }', {"x": (2, 6, 5, 7)}),
    "Slice points": Case(
        'layer { name: "s" type: "Slice" bottom: "x" top: "a" top: "b" top: "c" slice_param { axis: 2 slice_point: 1 slice_point: 3 } }',
        {"x": (2, 3, 7, 5)},
    ),
    "Slice dim": Case(
        'layer { name: "s" type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_dim: 0 } }',
        {"x": (4, 3, 7, 5)},
    ),
    "Slice into one": Case('layer { name: "s" type: "Slice" bottom: "x" top: "a" }', {"x": X}),
    "Tile": Case('layer { name: "t" type: "Tile" bottom: "x" top: "y" tile_param { tiles: 4 } }', {"x": X}),
    "Tile axis": Case(
        'layer { name: "t" type: "Tile" bottom: "x" top: "y" tile_param { axis: -1 tiles: 3 } }', {"x": X}
    ),
    "Tile once": Case(
        'layer { name: "t" type: "Tile" bottom: "x" top: "y" tile_param { axis: 0 tiles: 1 } }', {"x": X}
    ),
}
