from parity import Case

LAYER = 'layer {{ name: "s" type: "Softmax" bottom: "x" top: "{}" softmax_param {{ {} }} }}'

CASES = {
    "plain": Case(LAYER.format("y", ""), {"x": (5, 7)}),
    "planes": Case(LAYER.format("y", ""), {"x": (2, 5, 3, 7)}),
    "last axis": Case(LAYER.format("y", "axis: -1"), {"x": (2, 5, 3, 7)}),
    "in place": Case(LAYER.format("x", ""), {"x": (5, 7)}),
}
