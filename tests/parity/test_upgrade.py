"""Old nets and solvers become what real Caffe's upgrade tools make of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from upgrade_cases import NETS, SOLVERS

from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import parse_text, read_net, read_solver
from caffefiles.upgrade import upgrade_net

GOLDENS = Path(__file__).parent / "goldens" / "upgraded"


@pytest.mark.parametrize("name", NETS)
def test_net_is_upgraded_as_caffe_does(name: str, tmp_path: Path) -> None:
    (tmp_path / "old.prototxt").write_text(NETS[name])
    expected = parse_text((GOLDENS / f"{name}.prototxt").read_text(), caffe_pb2.NetParameter(), name)
    assert str(read_net(tmp_path / "old.prototxt")) == str(expected)


@pytest.mark.parametrize("name", SOLVERS)
def test_solver_is_upgraded_as_caffe_does(name: str, tmp_path: Path) -> None:
    (tmp_path / "old.prototxt").write_text(SOLVERS[name])
    ours = read_solver(tmp_path / "old.prototxt")
    assert ours.snapshot_prefix == str(tmp_path / "old")
    ours.ClearField("snapshot_prefix")
    assert str(ours) == str(parse_text((GOLDENS / f"{name}.prototxt").read_text(), caffe_pb2.SolverParameter(), name))


def test_upgrading_twice_is_upgrading_once() -> None:
    for text in NETS.values():
        once = upgrade_net(parse_text(text, caffe_pb2.NetParameter(), "x"))
        twice = caffe_pb2.NetParameter.FromString(once.SerializeToString())
        assert str(upgrade_net(twice)) == str(once)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("layers { name: 'a' } layer { name: 'b' }", "both 'layer' and 'layers'"),
        ("layers { layer { name: 'a' type: 'convv' } }", "unknown V0 layer type 'convv'\n.*'conv'"),
        (
            "layers { layer { name: 'a' type: 'relu' stride: 2 } }",
            "'a': field 'stride' does not go with V0 type 'relu'",
        ),
        ("layers { layer { name: 'a' type: 'relu' } bottom: 'zz' }", "'a': unknown bottom 'zz'"),
        ("input: 'a' input_dim: 1 input_dim: 2", "2 input_dim for 1 input"),
    ],
)
def test_bad_old_nets(text: str, said: str) -> None:
    net = parse_text(text, caffe_pb2.NetParameter(), "f.prototxt")
    with pytest.raises(CaffeError, match=said):
        upgrade_net(net, "f.prototxt")


def test_both_solver_types(tmp_path: Path) -> None:
    (tmp_path / "s.prototxt").write_text("solver_type: ADAM type: 'SGD'")
    with pytest.raises(CaffeError, match=r"s.prototxt: has both solver_type \(old\) and type"):
        read_solver(tmp_path / "s.prototxt")
