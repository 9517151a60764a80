"""The wire format of Datum and BlobProto, against protobuf's own where real pycaffe is."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffefiles.datum import datum_pixels, parse_datum
from caffefiles.mean import read_mean, write_mean
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb.slots import crc32, head, tail

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 300), st.integers(1, 40))
LABELS = st.integers(0, (1 << 31) - 1)


def serialised(shape: tuple[int, int, int], label: int) -> tuple[np.ndarray, bytes]:
    pixels = np.arange(np.prod(shape), dtype=np.uint64).astype(np.uint8).reshape(shape)
    return pixels, head(*shape) + pixels.tobytes() + tail(label)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(shape=SHAPES, label=LABELS)
def test_round_trip(shape: tuple[int, int, int], label: int) -> None:
    pixels, value = serialised(shape, label)
    read = parse_datum(value)
    assert (read.channels, read.height, read.width, read.label, read.encoded) == (*shape, label, False)
    assert np.array_equal(datum_pixels(read), pixels)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(shape=SHAPES, label=LABELS)
def test_as_protobuf_writes_it(shape: tuple[int, int, int], label: int) -> None:
    proto = pytest.importorskip(
        "caffe.proto.caffe_pb2", reason="real pycaffe is in .caffe/bin/python only", exc_type=ImportError
    )
    pixels, value = serialised(shape, label)
    channels, height, width = shape
    theirs = proto.Datum(
        channels=channels, height=height, width=width, data=pixels.tobytes(), label=label, encoded=False
    )
    assert theirs.SerializeToString() == value


def test_reads_what_protobuf_may_write() -> None:
    """Fields in another order, unknown ones, a negative label, floats."""
    value = (
        b"\x28"
        + b"\xff" * 9
        + b"\x01"
        + b"\x38\x00"
        + b"\x22\x06abcdef"
        + b"\x98\x06\x05"
        + b"\x18\x03\x10\x02\x08\x01"
    )
    value += b"\x35\x00\x00\x80\x3f" + b"\x32\x04\x00\x00\x80\x3f"
    read = parse_datum(value)
    assert (read.channels, read.height, read.width, read.label) == (1, 2, 3, -1)
    assert datum_pixels(read).tobytes() == b"abcdef"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\x22\x05abc", "cut short"),
        (b"\x08", "no Datum"),
        (b"\x0b", "no Datum"),
        (b"\x08" + b"\xff" * 11, "no Datum"),
        (b"\x35\x00", "cut short"),
    ],
)
def test_no_datum(value: bytes, message: str) -> None:
    with pytest.raises(FoolCaffeError, match=message):
        parse_datum(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (head(1, 2, 3) + b"abcdef" + b"\x38\x01", "encoded"),
        (b"\x08\x01\x10\x02\x18\x04\x22\x06abcdef", "holds 6 bytes, but says 1 × 2 × 4"),
        (b"\x08\x01", "holds 0 bytes"),
    ],
)
def test_no_pixels(value: bytes, message: str) -> None:
    with pytest.raises(FoolCaffeError, match=message):
        _ = datum_pixels(parse_datum(value))


def test_a_mean_is_written_as_protobuf_writes_it(tmp_path: Path) -> None:
    mean = np.linspace(0, 255, 30, dtype=np.float32).reshape(2, 3, 5)
    write_mean(tmp_path / "mean", mean)
    assert np.array_equal(read_mean(tmp_path / "mean"), mean)
    blob = (tmp_path / "mean").read_bytes()
    assert blob[:8] == b"\x08\x01\x10\x02\x18\x03\x20\x05"
    proto = pytest.importorskip(
        "caffe.proto.caffe_pb2", reason="real pycaffe is in .caffe/bin/python only", exc_type=ImportError
    )
    theirs = proto.BlobProto(num=1, channels=2, height=3, width=5, data=mean.ravel().tolist())
    assert theirs.SerializeToString() == blob


def test_checksum_is_crc32() -> None:
    """Whatever computes it: databases carry it from machine to machine."""
    for data in (b"", b"123456789", bytes(range(256)) * 48):
        assert crc32(data) == crc32(memoryview(data)) == zlib.crc32(data)
