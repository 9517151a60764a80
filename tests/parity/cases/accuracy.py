from parity import Case

LAYER = 'layer {{ name: "a" type: "Accuracy" bottom: "x" bottom: "t" top: "a" {} }}'
FLAT = {"x": (23, 7), "t": ((23,), ("labels", 7))}
PLANES = {"x": (3, 5, 2, 7), "t": ((3, 1, 2, 7), ("labels", 5))}


def _case(more: str, bottoms: dict) -> Case:
    return Case(LAYER.format(more), bottoms, phase="TEST", backward=False, force_backward=False)


CASES = {
    "plain": _case("", FLAT),
    "top 3": _case("accuracy_param { top_k: 3 }", FLAT),
    "planes": _case("", PLANES),
    "ignore": _case("accuracy_param { ignore_label: 2 }", PLANES),
    "classes": _case('top: "c"', FLAT),
    "classes ignored": _case('top: "c" accuracy_param { ignore_label: 2 top_k: 2 }', PLANES),
    "axis": _case("accuracy_param { axis: 2 }", {"x": (3, 2, 5, 7), "t": ((3, 2, 7), ("labels", 5))}),
    "ties": _case("accuracy_param { top_k: 2 }", {"x": ((5, 7), "zero"), "t": ((5,), ("labels", 7))}),
}
