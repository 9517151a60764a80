"""A record's bytes to pixels. Source: ``util/io.cpp``, ``data_transformer.cpp``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from foolcaffe.errors import FoolCaffeError
from torchcaffe.proto import caffe_pb2


class Record(NamedTuple):
    """Pixels, channels × height × width (uint8, or float32 where the Datum has float_data), and the label."""

    pixels: NDArray[Any]
    label: int


def read_datum(value: Any, key: bytes, source: str, force_color: bool = False, force_gray: bool = False) -> Record:
    """The record in a serialized Datum.

    Args:
        value: the bytes.
        key: the record's key, for errors.
        source: the database, for errors.
        force_color: decode an encoded image as three channels even if it is grey.
        force_gray: decode an encoded image as one channel.

    Raises:
        FoolCaffeError: the bytes are no Datum, or its numbers do not fill its shape, or its image cannot be decoded.
    """
    datum = caffe_pb2.Datum()
    where = f"record {key.decode('utf-8', 'backslashreplace')!r} of {source!r}"
    try:
        datum.ParseFromString(bytes(value))
    except (DecodeError, ValueError) as error:
        raise FoolCaffeError(f"{where} is no Datum: {error}", "the database is damaged or of another kind") from None
    if datum.encoded:
        return Record(_decode(datum.data, where, force_color, force_gray), datum.label)
    shape = (datum.channels, datum.height, datum.width)
    if datum.data:
        pixels: NDArray[Any] = np.frombuffer(datum.data, np.uint8)
    else:
        pixels = np.array(datum.float_data, np.float32)
    if min(shape) < 1 or pixels.size != shape[0] * shape[1] * shape[2]:
        raise FoolCaffeError(f"{where} holds {pixels.size} numbers for the shape {shape}", "the database is damaged")
    return Record(pixels.reshape(shape), datum.label)


def _decode(data: bytes, where: str, force_color: bool, force_gray: bool) -> NDArray[np.uint8]:
    """An image file's pixels, B, G, R, with as many channels as it has unless forced."""
    import cv2  # only who has encoded records needs it

    forced = cv2.IMREAD_COLOR if force_color else cv2.IMREAD_GRAYSCALE
    flags = forced if force_color or force_gray else cv2.IMREAD_UNCHANGED
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise FoolCaffeError(f"the image in {where} cannot be decoded", "convert it again")
    if pixels.dtype != np.uint8:
        raise FoolCaffeError(f"the image in {where} has {pixels.dtype} pixels", "bytes are expected: convert it again")
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
