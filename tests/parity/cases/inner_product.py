from parity import Case

LAYER = 'layer {{ name: "fc" type: "InnerProduct" bottom: "x" top: "y" inner_product_param {{ num_output: 11 {} }} }}'

CASES = {
    "plain": Case(LAYER.format(""), {"x": (5, 2, 3, 7)}),
    "axis": Case(LAYER.format("axis: 2"), {"x": (5, 2, 3, 7)}),
    "negative axis": Case(LAYER.format("axis: -1"), {"x": (5, 2, 7)}),
    "transpose": Case(LAYER.format("transpose: true"), {"x": (5, 2, 7)}),
    "no bias": Case(LAYER.format("bias_term: false"), {"x": (5, 13)}),
    "fillers": Case(
        LAYER.format('weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -1 max: 2 }'),
        {"x": (5, 13)},
        params="own",
    ),
}
