# ruff: noqa: E501
"""Filter and BatchReindex: shapes that follow from values."""

from parity import Case

FC = 'layer {{ name: "{0}" type: "InnerProduct" bottom: "{0}" top: "f{0}" inner_product_param {{ num_output: 5 }} }}'

CASES = {
    "Filter": Case(
        FC.format("x")
        + FC.format("v")
        + 'layer { name: "f" type: "Filter" bottom: "fx" bottom: "fv" bottom: "s" top: "a" top: "b" loss_weight: 1 loss_weight: 0.5 }',
        {"x": (11, 3), "v": (11, 2, 4), "s": ((11,), ("labels", 3))},
        force_backward=False,
        forwards=2,
    ),
    "Filter with all": Case(
        FC.format("x") + 'layer { name: "f" type: "Filter" bottom: "fx" bottom: "s" top: "a" loss_weight: 1 }',
        {"x": (7, 3), "s": ((7, 1), "positive")},
        force_backward=False,
    ),
    "BatchReindex": Case(
        FC.format("x") + 'layer { name: "b" type: "BatchReindex" bottom: "fx" bottom: "j" top: "y" loss_weight: 1 }',
        {"x": (4, 3), "j": ((11,), ("labels", 4))},
        force_backward=False,
    ),
    "BatchReindex fewer": Case(
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 3 kernel_size: 2 } }'
        'layer { name: "b" type: "BatchReindex" bottom: "c" bottom: "j" top: "y" loss_weight: 1 }',
        {"x": (7, 2, 5, 6), "j": ((4,), ("labels", 7))},
        force_backward=False,
    ),
}
