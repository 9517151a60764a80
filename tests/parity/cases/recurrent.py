# ruff: noqa: E501
"""LSTM, RNN and LSTMUnit. The seed's stream is read after the layer, too: its fillers draw once for each step."""

from parity import Case

LAYER = (
    'layer {{ name: "r" type: "{}" bottom: "x" bottom: "cont" {} top: "y" {} recurrent_param {{ num_output: {} {} }} }}'
)
FILLERS = 'weight_filler { type: "uniform" min: -0.5 max: 0.5 } bias_filler { type: "gaussian" }'
AFTER = 'layer { name: "f" type: "InnerProduct" bottom: "y" top: "f" inner_product_param { num_output: 2 axis: 2 weight_filler { type: "gaussian" } } }'
X = {"x": (4, 3, 5), "cont": ((4, 3), ("labels", 2))}
STATIC = {**X, "s": (3, 2)}
# cont refuses a gradient in real Caffe: below the layer stands one with parameters, and a loss above
LINE = {"force_backward": False, "param_tol": 4e-6, "forward_tol": 4e-6, "backward_tol": 4e-6}
BELOW = 'layer {{ name: "f{0}" type: "InnerProduct" bottom: "{0}" top: "f{0}" inner_product_param {{ num_output: {1} axis: -1 }} }}'


def _case(
    type_: str, bottoms: dict, more_bottoms: str = "", tops: str = "", param: str = "", **options: object
) -> Case:
    net = LAYER.format(type_, more_bottoms, tops, 6, param)
    below = ""
    for name in set(bottoms) - {"cont"}:
        net = net.replace(f'bottom: "{name}"', f'bottom: "f{name}"')
    for name in sorted(set(bottoms) - {"cont"}):
        below += BELOW.format(name, 6 if name.endswith("0") else 7)
    weights = "loss_weight: 1 " + "loss_weight: 0.5 " * tops.count("top")
    return Case(below + net.replace("recurrent_param", f"{weights} recurrent_param"), bottoms, **{**LINE, **options})


def _cases(type_: str, hidden: str) -> dict:
    states = " ".join(f'bottom: "{h}0"' for h in hidden)
    tops = " ".join(f'top: "{h}T"' for h in hidden)
    inputs = {f"{h}0": (1, 3, 6) for h in hidden}
    return {
        type_: _case(type_, X),
        f"{type_} twice": _case(type_, X, forwards=2),
        f"{type_} static": _case(type_, STATIC, 'bottom: "s"'),
        f"{type_} exposed": _case(type_, {**X, **inputs}, states, tops, "expose_hidden: true"),
        f"{type_} exposed and static": _case(
            type_, {**STATIC, **inputs}, f'bottom: "s" {states}', tops, "expose_hidden: true"
        ),
        f"{type_} fillers": Case(
            LAYER.format(type_, "", "", 6, FILLERS) + AFTER,
            X,
            params="own",
            backward=False,
            force_backward=False,
            forward_tol=4e-6,
        ),
        f"{type_} fillers static": Case(
            LAYER.format(type_, 'bottom: "s"', "", 6, FILLERS) + AFTER,
            STATIC,
            params="own",
            backward=False,
            force_backward=False,
            forward_tol=4e-6,
        ),
        f"{type_} of planes": Case(
            LAYER.format(type_, "", "", 6, ""),
            {"x": (4, 3, 2, 5), "cont": ((4, 3), "zero")},
            backward=False,
            force_backward=False,
            forward_tol=4e-6,
        ),
    }


UNIT = 'layer {{ name: "u" type: "LSTMUnit" bottom: "c0" bottom: "g" bottom: "cont" top: "c" top: "h" }}'

CASES = {
    **_cases("LSTM", "hc"),
    **_cases("RNN", "h"),
    "LSTMUnit": Case(UNIT.format(), {"c0": (1, 5, 3), "g": (1, 5, 12), "cont": ((1, 5), ("labels", 2))}),
    "LSTMUnit of broken cont": Case(UNIT.format(), {"c0": (1, 5, 3), "g": (1, 5, 12), "cont": ((1, 5), "unit")}),
}
