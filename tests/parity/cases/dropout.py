from parity import Case

LAYER = 'layer {{ name: "d" type: "Dropout" bottom: "x" top: "{}" {} }}'

CASES = {
    "plain": Case(LAYER.format("y", ""), {"x": (5, 7, 11)}),
    "in place": Case(LAYER.format("x", "dropout_param { dropout_ratio: 0.3 }"), {"x": (5, 7)}, forwards=2),
    "test": Case(LAYER.format("y", ""), {"x": (5, 7, 11)}, phase="TEST"),
    "test in place": Case(LAYER.format("x", ""), {"x": (5, 7, 11)}, phase="TEST"),
}
