from parity import Case

LAYER = 'layer {{ name: "r" type: "ReLU" bottom: "x" top: "{}" {} }}'

CASES = {
    "plain": Case(LAYER.format("y", ""), {"x": (2, 3, 5, 7)}),
    "in place": Case(LAYER.format("x", ""), {"x": (2, 3, 5, 7)}),
    "slope": Case(LAYER.format("y", "relu_param { negative_slope: 0.3 }"), {"x": (2, 3, 5, 7)}),
    "slope in place": Case(LAYER.format("x", "relu_param { negative_slope: 0.3 }"), {"x": (2, 3, 5, 7)}),
    "zero": Case(LAYER.format("y", ""), {"x": ((2, 3), "zero")}),
}
