from parity import Case

LAYER = 'layer {{ name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "loss" {} }}'
FLAT = {"x": (5, 7), "t": ((5,), ("labels", 7))}
PLANES = {"x": (3, 5, 2, 7), "t": ((3, 1, 2, 7), ("labels", 5))}

CASES = {
    "plain": Case(LAYER.format(""), FLAT),
    "planes": Case(LAYER.format(""), PLANES),
    "weight": Case(LAYER.format("loss_weight: 2.5"), FLAT),
    "ignore": Case(LAYER.format("loss_param { ignore_label: 2 }"), PLANES),
    "full": Case(LAYER.format("loss_param { ignore_label: 2 normalization: FULL }"), PLANES),
    "batch size": Case(LAYER.format("loss_param { ignore_label: 2 normalization: BATCH_SIZE }"), PLANES),
    "none": Case(LAYER.format("loss_param { ignore_label: 2 normalization: NONE }"), PLANES),
    "normalize false": Case(LAYER.format("loss_param { normalize: false }"), PLANES),
    "normalization wins": Case(LAYER.format("loss_param { normalize: false normalization: VALID }"), PLANES),
    "axis": Case(LAYER.format("softmax_param { axis: 2 }"), {"x": (3, 2, 5, 7), "t": ((3, 2, 7), ("labels", 5))}),
    "all ignored": Case(LAYER.format("loss_param { ignore_label: 0 }"), {"x": (5, 7), "t": ((5,), "zero")}),
    "certain": Case(
        'layer { name: "big" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 7 '
        'weight_filler { type: "constant" value: 90 } } param { lr_mult: 0 } } '
        'layer { name: "fc" type: "InnerProduct" bottom: "y" top: "z" inner_product_param { num_output: 11 '
        'weight_filler { type: "gaussian" std: 10 } } } '
        'layer { name: "l" type: "SoftmaxWithLoss" bottom: "z" bottom: "t" top: "loss" }',
        {"x": (5, 3), "t": ((5,), ("labels", 11))},
        params="own",
    ),
}
