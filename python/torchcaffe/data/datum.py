"""A record's bytes to pixels. Source: ``util/io.cpp``, ``data_transformer.cpp``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from torchcaffe.data.images import decode


class Record(NamedTuple):
    """Pixels, channels × height × width (uint8, or float32 where the Datum has float_data), and the label."""

    pixels: NDArray[Any]
    label: int


def read_datum(value: Any, key: bytes, source: str, color: bool | None = None) -> Record:
    """The record in a serialized Datum.

    Args:
        value: the bytes.
        key: the record's key, for errors.
        source: the database, for errors.
        color: decode an encoded image as three channels, as one, or (None) as it is.

    Raises:
        CaffeError: the bytes are no Datum, or its numbers do not fill its shape, or its image cannot be decoded.
    """
    datum = caffe_pb2.Datum()
    where = f"record {key.decode('utf-8', 'backslashreplace')!r} of {source!r}"
    try:
        datum.ParseFromString(bytes(value))
    except (DecodeError, ValueError) as error:
        raise CaffeError(f"{where} is no Datum: {error}", "the database is damaged or of another kind") from None
    if datum.encoded:
        return Record(decode(datum.data, f"the image in {where}", color), datum.label)
    shape = (datum.channels, datum.height, datum.width)
    if datum.data:
        pixels: NDArray[Any] = np.frombuffer(datum.data, np.uint8)
    else:
        pixels = np.array(datum.float_data, np.float32)
    if min(shape) < 1 or pixels.size != shape[0] * shape[1] * shape[2]:
        raise CaffeError(f"{where} holds {pixels.size} numbers for the shape {shape}", "the database is damaged")
    return Record(pixels.reshape(shape), datum.label)
