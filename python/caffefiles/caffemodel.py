"""Trained weights in ``.caffemodel`` files: a NetParameter whose layers hold blobs. Source: Caffe's ``net.cpp``."""

from __future__ import annotations

from math import prod
from typing import Any

from caffefiles.errors import CaffeError
from caffefiles.files import PathLike
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_binary
from caffefiles.upgrade import upgrade_net


def read_weights(path: PathLike, hint: str = "") -> Any:
    """Read a binary caffemodel as a NetParameter, upgraded to the current format.

    Args:
        path: the file.
        hint: how to get one, if the file is missing.

    Raises:
        CaffeError: if it is missing, cut short, or no NetParameter.
    """
    return upgrade_net(read_binary(path, caffe_pb2.NetParameter(), "caffemodel" if hint else "", hint), path)


def check_weights(net: Any, path: PathLike) -> None:
    """Check that a caffemodel holds weights, and that each blob has as many values as its shape says.

    Args:
        net: from :func:`read_weights`.
        path: its file, for the error.

    Raises:
        CaffeError: if it has no blob, or a blob of another size.
    """
    if not any(layer.blobs for layer in net.layer):
        raise CaffeError(f"{path} holds no weights", "a caffemodel that training has written was expected")
    for layer in net.layer:
        for index, blob in enumerate(layer.blobs):
            shape = blob_shape(blob)
            if len(blob.data) + len(blob.double_data) != prod(shape):
                raise CaffeError(
                    f"{path}: layer {layer.name!r}, blob {index}: {len(blob.data)} values, "
                    f"but its shape is {' × '.join(map(str, shape))}: the file is damaged",
                    "copy it again, or train the model again",
                )


def blob_shape(blob: Any) -> tuple[int, ...]:
    """Return the shape of a BlobProto, also of one that has the four legacy fields instead of ``shape``."""
    if blob.HasField("shape") or not (blob.num or blob.channels or blob.height or blob.width):
        return tuple(blob.shape.dim)
    return blob.num, blob.channels, blob.height, blob.width
