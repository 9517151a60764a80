# ruff: noqa: E501
"""Fillers draw what Caffe's draw, to the bit: DummyData's tops are compared exactly."""

from parity import Case


def _case(filler: str, *shape: int) -> Case:
    dims = " ".join(f"dim: {n}" for n in shape)
    text = f'layer {{ name: "d" type: "DummyData" top: "d" dummy_data_param {{ shape {{ {dims} }} data_filler {{ {filler} }} }} }}'
    return Case(text, backward=False, force_backward=False, forwards=2, forward_tol=0)


CASES = {
    "constant": _case("value: 3", 2, 3),
    "uniform": _case('type: "uniform" min: -0.25 max: 3', 7, 11),
    "gaussian": _case('type: "gaussian" mean: 0.5 std: 0.01', 31, 101),
    "gaussian sparse": _case('type: "gaussian" std: 0.1 sparse: 5', 30, 11),
    "xavier": _case('type: "xavier"', 7, 5, 3, 2),
    "xavier fan out": _case('type: "xavier" variance_norm: FAN_OUT', 7, 5, 3),
    "msra average": _case('type: "msra" variance_norm: AVERAGE', 7, 5, 3, 2),
    "positive unitball": _case('type: "positive_unitball"', 5, 3, 7),
    "bilinear": _case('type: "bilinear"', 2, 3, 5, 5),
    "bilinear even": _case('type: "bilinear"', 3, 2, 4, 4),
}
