"""Prototxts and binary protos, read and written with errors that name the file, the line and the field."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from caffefiles.errors import CaffeError, nearest
from caffefiles.files import write_text
from caffefiles.proto import caffe_pb2


def read_prototxt(path: Path, message: str) -> Any:
    """Parse a prototxt.

    Args:
        path: the file.
        message: ``NetParameter`` or ``SolverParameter``.

    Raises:
        CaffeError: not there, or malformed: with line and column, and the nearest field name for an unknown one.
    """
    result = getattr(caffe_pb2, message)()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CaffeError(f"no {message} at {path}") from None
    except UnicodeDecodeError as error:
        raise CaffeError(f"{path} is not text: {error.reason} at byte {error.start}") from None
    try:
        text_format.Parse(text, result)
    except text_format.ParseError as error:
        said = str(error)
        place = re.match(r"(\d+:\d+) : (.*)", said, re.DOTALL)
        where, what = (f"{path}:{place.group(1)}", place.group(2)) if place else (str(path), said)
        what = what.strip().splitlines()[-1] if what.startswith("'") else what
        unknown = re.search(r'Message type "caffe\.(\w+)" has no field named "(\w+)"', said)
        hint = ""
        if unknown:
            fields = caffe_pb2.DESCRIPTOR.message_types_by_name.get(unknown.group(1))
            hint = nearest(unknown.group(2), [f.name for f in fields.fields]) if fields else ""
        raise CaffeError(f"{where}: {what}", hint) from None
    return result


def write_prototxt(path: Path, message: Any, header: str) -> None:
    """Write a message as a prototxt, atomically, with ``header`` as its comment."""
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    write_text(path, comment + text_format.MessageToString(message))


def read_binary(path: Path, message: str, what: str, how_to_get: str = "") -> Any:
    """Parse a binary proto.

    Args:
        path: the file.
        message: ``NetParameter``, ``SolverState`` or ``BlobProto``.
        what: what it is called in messages, ``caffemodel`` say.
        how_to_get: the hint if it is not there.

    Raises:
        CaffeError: not there, or no such message.
    """
    result = getattr(caffe_pb2, message)()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CaffeError(f"no {what} at {path}", how_to_get) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # protobuf warns of bytes that it leaves unread
            result.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError; its class differs between protobuf's versions
        raise CaffeError(f"{path} is no {what}, or a truncated one: {error}") from None
    return result


def read_weights(path: Path) -> Any:
    """Parse a ``.caffemodel`` and check that every blob is whole.

    Raises:
        CaffeError: not there, truncated, no NetParameter, no blobs, or a blob of another size than it says.
    """
    net = read_binary(path, "NetParameter", "caffemodel", "`make train` trains one")
    layers = list(net.layer) or list(net.layers)
    if not any(layer.blobs for layer in layers):
        raise CaffeError(f"{path} holds no weights")
    for layer in layers:
        for index, blob in enumerate(layer.blobs):
            count = 1
            for dim in blob_shape(blob):
                count *= dim
            if len(blob.data) + len(blob.double_data) != count:
                raise CaffeError(
                    f"{path}: layer {layer.name!r}, blob {index}: {len(blob.data)} values, "
                    f"but its shape is {' × '.join(map(str, blob_shape(blob)))}: the file is damaged"
                )
    return net


def blob_shape(blob: Any) -> tuple[int, ...]:
    """The shape of a BlobProto, of the old four fields too."""
    if blob.HasField("shape") or not (blob.num or blob.channels or blob.height or blob.width):
        return tuple(blob.shape.dim)
    return blob.num, blob.channels, blob.height, blob.width
