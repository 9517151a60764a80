"""The layers that map each value by itself: every parameter, out of place and in place."""

from parity import Case

X = {"x": (2, 3, 5, 7)}
POSITIVE = {"x": ((2, 3, 5, 7), "positive")}


def _layer(type_: str, param: str = "", bottoms: dict = X, top: str = "y", **options: object) -> Case:
    return Case(f'layer {{ name: "e" type: "{type_}" bottom: "x" top: "{top}" {param} }}', bottoms, **options)


def _both(name: str, type_: str, param: str = "", bottoms: dict = X, backward: bool = True) -> dict:
    return {
        name: _layer(type_, param, bottoms),
        f"{name} in place": _layer(type_, param, bottoms, "x", backward=backward),
    }


CASES = {
    "AbsVal": _layer("AbsVal"),
    "AbsVal of zero": _layer("AbsVal", "", {"x": ((2, 3), ("labels", 2))}),
    **_both("BNLL", "BNLL"),
    **_both("Clip", "Clip", "clip_param { min: -0.5 max: 0.75 }"),
    "Clip the other way round": _layer("Clip", "clip_param { min: 0.5 max: -0.75 }"),
    "Clip at the bounds": _layer("Clip", "clip_param { min: 1 max: 2 }", {"x": ((2, 3), ("labels", 4))}),
    **_both("ELU", "ELU"),
    **_both("ELU alpha", "ELU", "elu_param { alpha: 0.3 }"),
    **_both("Exp", "Exp"),
    **_both("Exp base", "Exp", "exp_param { base: 2 scale: 0.5 shift: -1.5 }"),
    "Exp shift": _layer("Exp", "exp_param { scale: -0.5 shift: 0.75 }"),
    **_both("Log", "Log", "", POSITIVE, backward=False),
    **_both("Log base", "Log", "log_param { base: 10 scale: 0.5 shift: 2.5 }", POSITIVE, backward=False),
    **_both("Power 1", "Power", "power_param { scale: 3 shift: -2 }", backward=False),
    **_both("Power 2", "Power", "power_param { power: 2 scale: 0.5 shift: 1 }", backward=False),
    **_both("Power 0", "Power", "power_param { power: 0 scale: 3 shift: -2 }", backward=False),
    "Power of a constant below NaN": Case(
        'layer { name: "p" type: "Power" bottom: "x" top: "p" power_param { power: -2 scale: 0 } }'
        'layer { name: "s" type: "Softmax" bottom: "p" top: "s" }',
        {"x": (2, 3, 5)},
    ),
    "Power of a constant": _layer("Power", "power_param { power: 3 scale: 0 shift: -2 }"),
    **_both("Power broken", "Power", "power_param { power: 0.75 scale: 0.5 shift: 2 }", POSITIVE, backward=False),
    **_both("Power 3 without shift", "Power", "power_param { power: 3 scale: -0.5 }", backward=False),
    **_both("Power inverse", "Power", "power_param { power: -1 scale: 2 shift: 0.5 }", POSITIVE, backward=False),
    **_both("Sigmoid", "Sigmoid"),
    **_both("Swish", "Swish"),
    **_both("Swish beta", "Swish", "swish_param { beta: 0.3 }"),
    **_both("TanH", "TanH"),
    "Threshold": _layer("Threshold", backward=False, force_backward=False),
    "Threshold above": _layer("Threshold", "threshold_param { threshold: 0.5 }", backward=False, force_backward=False),
    "Threshold at": _layer(
        "Threshold", "threshold_param { threshold: 1 }", {"x": ((2, 3), ("labels", 3))}, "x", backward=False
    ),
}
