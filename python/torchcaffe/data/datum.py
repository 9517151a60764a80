"""Records whose images may be encoded. Source: ``util/io.cpp``, ``data_transformer.cpp``."""

from __future__ import annotations

from caffefiles import datum
from caffefiles.datum import Record
from torchcaffe.data.images import decode


def read_datum(value: bytes | memoryview, key: bytes, source: str, color: bool | None = None) -> Record:
    """Read a Datum as :func:`caffefiles.datum.read_datum` does, and decode an encoded image.

    Args:
        value: the bytes.
        key: the record's key.
        source: the database, for errors.
        color: decode an encoded image as three channels, as one, or (None) as it is.
    """
    return datum.read_datum(value, key, source, lambda data, where: decode(data, where, color))
