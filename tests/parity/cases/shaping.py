# ruff: noqa: E501
"""Layers that move values about: Flatten, Reshape, Crop, Reduction, ArgMax, Silence, Parameter, Embed, Im2col, SPP."""

from parity import Case

X = (2, 3, 5, 7)


def _one(type_: str, param: str = "", shape: object = X, **options: object) -> Case:
    return Case(f'layer {{ name: "s" type: "{type_}" bottom: "x" top: "y" {param} }}', {"x": shape}, **options)


def _crop(param: str, x: object, size: object) -> Case:
    return Case(
        f'layer {{ name: "c" type: "Crop" bottom: "x" bottom: "v" top: "y" crop_param {{ {param} }} }}',
        {"x": x, "v": size},
    )


FC = 'layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" inner_product_param { num_output: 5 axis: -1 } }'

CASES = {
    "Flatten": _one("Flatten"),
    "Flatten axes": _one("Flatten", "flatten_param { axis: -3 end_axis: 2 }"),
    "Flatten all": _one("Flatten", "flatten_param { axis: 0 }"),
    "Flatten, then in place": Case(
        FC
        + 'layer { name: "s" type: "Flatten" bottom: "f" top: "y" } layer { name: "r" type: "ReLU" bottom: "y" top: "y" }',
        {"x": (2, 3, 7)},
    ),
    "Flatten of a split": Case(
        'layer { name: "a" type: "Flatten" bottom: "x" top: "y" } layer { name: "b" type: "Flatten" bottom: "x" top: "z" flatten_param { axis: 2 } }',
        {"x": X},
    ),
    "Reshape": _one("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 7 } }"),
    "Reshape axis": _one("Reshape", "reshape_param { shape { dim: 5 dim: 3 } axis: 1 num_axes: 2 }"),
    "Reshape inserting": _one("Reshape", "reshape_param { shape { dim: 1 } axis: 1 num_axes: 0 }"),
    "Reshape appending": _one("Reshape", "reshape_param { shape { dim: 1 dim: 1 } axis: -1 num_axes: 0 }"),
    "Reshape to a vector": _one("Reshape", "reshape_param { shape { dim: -1 } }"),
    "Reshape the middle": _one("Reshape", "reshape_param { shape { dim: 0 dim: -1 } axis: 1 }"),
    "Crop": _crop("", X, (2, 3, 4, 6)),
    "Crop offset": _crop("offset: 1", X, (2, 3, 4, 6)),
    "Crop offsets": _crop("axis: 1 offset: 1 offset: 0 offset: 2", X, (11, 2, 4, 3)),
    "Crop axis": _crop("axis: -1 offset: 3", X, (2, 3, 5, 4)),
    "Crop everything": _crop("axis: 0 offset: 1", (4, 3, 5, 7), (2, 1, 4, 6)),
    "Reduction": _one("Reduction"),
    "Reduction ASUM": _one("Reduction", "reduction_param { operation: ASUM axis: 1 coeff: 0.5 }"),
    "Reduction SUMSQ": _one("Reduction", "reduction_param { operation: SUMSQ axis: 2 coeff: -2 }"),
    "Reduction MEAN": _one("Reduction", "reduction_param { operation: MEAN axis: -1 }"),
    "Reduction MEAN of all": _one("Reduction", "reduction_param { operation: MEAN coeff: 3 }"),
    "Reduction of zeros": _one("Reduction", "reduction_param { operation: ASUM }", ((2, 3), "zero")),
    "ArgMax": _one("ArgMax", backward=False, force_backward=False),
    "ArgMax top 3": _one("ArgMax", "argmax_param { top_k: 3 }", backward=False),
    "ArgMax values": _one("ArgMax", "argmax_param { top_k: 3 out_max_val: true }", backward=False),
    "ArgMax of vectors": _one("ArgMax", "argmax_param { out_max_val: true top_k: 2 }", (5, 7), backward=False),
    "ArgMax axis": _one("ArgMax", "argmax_param { axis: 1 top_k: 2 }", backward=False),
    "ArgMax axis values": _one("ArgMax", "argmax_param { axis: -2 top_k: 2 out_max_val: true }", backward=False),
    "ArgMax ties": _one("ArgMax", "argmax_param { top_k: 9 }", (X, ("labels", 3)), backward=False),
    "ArgMax axis ties": _one("ArgMax", "argmax_param { top_k: 4 axis: 2 }", (X, ("labels", 3)), backward=False),
    "Silence": Case(
        'layer { name: "r" type: "ReLU" bottom: "x" top: "y" } layer { name: "s" type: "Silence" bottom: "y" bottom: "v" }',
        {"x": X, "v": (5, 2)},
    ),
    "Silence of a split": Case(
        'layer { name: "s" type: "Silence" bottom: "x" } layer { name: "r" type: "ReLU" bottom: "x" top: "y" }',
        {"x": X},
    ),
    "Parameter": Case(
        'layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 3 dim: 5 } } }'
        'layer { name: "s" type: "Scale" bottom: "x" bottom: "p" top: "y" }',
        {"x": X},
    ),
    "Parameter of its own": Case(
        'layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 3 dim: 5 } } }', params="own"
    ),
    "Embed": Case(
        'layer { name: "e" type: "Embed" bottom: "x" top: "y" loss_weight: 1 embed_param { num_output: 5 input_dim: 7 } }',
        {"x": ((2, 3, 4), ("labels", 7))},
        force_backward=False,
    ),
    "Embed no bias": Case(
        'layer { name: "e" type: "Embed" bottom: "x" top: "y" loss_weight: 1 embed_param { num_output: 5 input_dim: 7 bias_term: false } }',
        {"x": ((11,), ("labels", 7))},
        force_backward=False,
    ),
    "Embed fillers": Case(
        'layer { name: "e" type: "Embed" bottom: "x" top: "y" loss_weight: 1 embed_param { num_output: 5 input_dim: 7 weight_filler { type: "xavier" } bias_filler { type: "gaussian" } } }',
        {"x": ((11,), ("labels", 7))},
        force_backward=False,
        params="own",
    ),
    "Flatten nothing": _one("Flatten", "flatten_param { axis: -1 end_axis: 2 }"),
    "Im2col": _one("Im2col", "convolution_param { kernel_size: 3 }"),
    "Im2col window": _one(
        "Im2col", "convolution_param { kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 2 }"
    ),
    "Im2col dilation": _one("Im2col", "convolution_param { kernel_size: 2 dilation: 2 dilation: 3 pad: 1 }"),
    "Im2col volume": _one(
        "Im2col", "convolution_param { kernel_size: 3 kernel_size: 2 kernel_size: 1 stride: 2 pad: 1 }", (2, 3, 5, 4, 7)
    ),
    "Im2col line": _one("Im2col", "convolution_param { kernel_size: 3 stride: 2 }", (2, 3, 8)),
    "Im2col axis": _one("Im2col", "convolution_param { kernel_size: 3 axis: 2 }", (2, 1, 3, 5, 4)),
    "SPP": _one("SPP", "spp_param { pyramid_height: 3 }", ((2, 3, 9, 11), "distinct")),
    "SPP AVE": _one("SPP", "spp_param { pyramid_height: 3 pool: AVE }", ((2, 3, 9, 11), "distinct")),
    "SPP of one level": _one("SPP", "spp_param { pyramid_height: 1 }", ((2, 3, 5, 4), "distinct")),
}
