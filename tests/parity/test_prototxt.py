"""Reading: every mistake is located and named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffefiles.caffemodel import read_weights
from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import parse_binary, parse_text, read_net, read_solver, save_binary, save_text

NET = (
    'name: "n"\nlayer {\n  name: "c"\n  type: "Convolution"\n  convolution_param { num_output: 3 kernel_size: 5 }\n}\n'
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'layer {\n  name: "a"\n  typ: "ReLU"\n}',
            r"f.prototxt:3:3: .*LayerParameter.*no field named .typ.*\n.*'type'",
        ),
        ("layer { include { phase: TRAIM } }", r"f.prototxt:1:\d+: .*TRAIM.*\n.*'TRAIN'"),
        ("layer {\n pooling_param {\n pool: MAXX } }", r"f.prototxt:3:\d+: .*MAXX.*\n.*'MAX'"),
        ('layer { name: "a"', r"f.prototxt:1:\d+: "),
        ("layer { inner_product_param { num_output: 1.5 } }", r"f.prototxt:1:\d+: .*1.5"),
        ('name: "a"\nname: "b"', r"f.prototxt:2:\d+: .*name"),
    ],
)
def test_a_mistake_is_located(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "f.prototxt").write_text(text)
    with pytest.raises(CaffeError, match=said):
        read_net(tmp_path / "f.prototxt")


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="no such file"):
        read_net(tmp_path / "none")
    with pytest.raises(CaffeError, match="is a folder"):
        read_net(tmp_path)
    (tmp_path / "b").write_bytes(b"name\n\xff\xfe")
    with pytest.raises(CaffeError, match="b:2: byte 5 is not UTF-8"):
        read_net(tmp_path / "b")


def test_a_cut_caffemodel_is_refused(tmp_path: Path) -> None:
    net = parse_text(NET, caffe_pb2.NetParameter(), "n")
    net.layer[0].blobs.add(data=[0.5] * 100)
    save_binary(tmp_path / "n.caffemodel", net)
    assert read_weights(tmp_path / "n.caffemodel") == net
    cut = tmp_path / "cut.caffemodel"
    cut.write_bytes((tmp_path / "n.caffemodel").read_bytes()[:-3])
    with pytest.raises(CaffeError, match=r"cut.caffemodel is no binary NetParameter"):
        read_weights(cut)


def test_text_goes_round(tmp_path: Path) -> None:
    net = parse_text(NET, caffe_pb2.NetParameter(), "n")
    save_text(tmp_path / "n.prototxt", net)
    assert read_net(tmp_path / "n.prototxt") == net


def test_snapshot_prefix_is_caffes(tmp_path: Path) -> None:
    path = tmp_path / "my.solver.prototxt"
    path.write_text("base_lr: 1")
    assert read_solver(path).snapshot_prefix == str(tmp_path / "my.solver")
    path.write_text(f'snapshot_prefix: "{tmp_path}"')
    assert read_solver(path).snapshot_prefix == str(tmp_path / "my.solver")
    path.write_text(f'snapshot_prefix: "{tmp_path}/x"')
    assert read_solver(path).snapshot_prefix == f"{tmp_path}/x"


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_noise_is_read_or_refused_with_the_file_named(noise: bytes, where: int) -> None:
    net = parse_text(NET, caffe_pb2.NetParameter(), "n")
    for read, good in ((parse_text, NET.encode()), (parse_binary, net.SerializeToString())):
        data = good[:where] + noise + good[where + len(noise) :]
        try:
            read(data, caffe_pb2.NetParameter(), "noisy.file")
        except CaffeError as error:
            assert "noisy.file" in str(error)  # noqa: PT017 - reading without an error is right too
