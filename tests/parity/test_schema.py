"""Our schema against real Caffe's, fact by fact."""

from __future__ import annotations

import copy
import pickle

import pytest
from make_schema_golden import GOLDEN, facts

from caffefiles.proto import caffe_pb2
from caffefiles.proto.schema import parse


def test_every_message_field_and_enum_is_real_caffes() -> None:
    assert facts(caffe_pb2.DESCRIPTOR) == GOLDEN.read_text().splitlines()


def test_the_golden_is_what_real_caffe_says_now() -> None:
    real = pytest.importorskip("caffe.proto.caffe_pb2", reason="real Caffe is not in this Python")
    assert facts(caffe_pb2.DESCRIPTOR) == facts(real.DESCRIPTOR)


def test_bytes_go_both_ways_in_one_process() -> None:
    real = pytest.importorskip("caffe.proto.caffe_pb2", reason="real Caffe is not in this Python")
    theirs = real.Datum(channels=3, height=5, width=7, data=b"\x00\xff", label=11, float_data=[0.5])
    ours = caffe_pb2.Datum.FromString(theirs.SerializeToString())
    assert ours.SerializeToString() == theirs.SerializeToString()
    assert type(ours) is not type(theirs)


def test_looks_like_a_generated_module() -> None:
    assert (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)
    assert caffe_pb2.Phase.Name(1) == "TEST"
    assert caffe_pb2.SolverParameter().base_lr == 0
    assert caffe_pb2.PoolingParameter.PoolMethod.Value("AVE") == caffe_pb2.PoolingParameter.AVE
    net = caffe_pb2.NetParameter(name="n")
    assert pickle.loads(pickle.dumps(net)) == net == copy.deepcopy(net)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("message A { optional int33 x = 1; }", "unknown type int33"),
        ("message A { optional int32 x = 1 }", r"expected \[ or ; instead of '}'"),
        ("service A {}", "expected syntax or package or enum or message"),
        ("message A {\n ? }", "caffe.proto:2: cannot read '?'"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)
