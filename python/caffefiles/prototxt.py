"""Reads and writes prototxts, caffemodels and solvers; whatever is old is upgraded, whatever is wrong is located.

Sources: Caffe's ``util/io.cpp`` and ``util/upgrade_proto.cpp``.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any, Union

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from caffefiles.errors import CaffeError, nearest, os_error_message
from caffefiles.files import atomic_path, write_text
from caffefiles.proto import caffe_pb2
from caffefiles.upgrade import upgrade_net, upgrade_solver

PathLike = Union[str, "os.PathLike[str]"]

_WHERE = re.compile(r"^\s*\d+:\d+ : (?:'.*?': )?", re.DOTALL)
_NO_FIELD = re.compile(r'Message type "caffe\.(\w+)" has no field named "(\w+)"')
_NO_VALUE = re.compile(r'Enum type "caffe\.([\w.]+)" has no value (?:named|with number) ([\w-]+)')


def parse_text(text: str | bytes, message: Any, source: PathLike) -> Any:
    """Parse prototxt ``text`` into ``message`` and return it.

    Args:
        text: the prototxt; bytes must be UTF-8.
        message: an empty message of :mod:`caffefiles.proto.caffe_pb2`.
        source: what the text was read from, for the error.

    Raises:
        CaffeError: the text is not such a message; says file, line, column, field and the nearest known names.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1  # type: ignore[arg-type]
            raise CaffeError(
                f"{os.fspath(source)}:{line}: byte {error.start} is not UTF-8 text",
                "a prototxt was expected, not a binary file",
            ) from None
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        at_line, column = error.GetLine(), error.GetColumn()
        where = f"{os.fspath(source)}" + (f":{at_line}:{column}" if at_line else "")
        said = _WHERE.sub("", str(error)).rstrip(".")
        raise CaffeError(f"{where}: {said}", _hint(said)) from None
    except (ValueError, RecursionError) as error:
        raise CaffeError(f"{os.fspath(source)}: {error}", f"a {message.DESCRIPTOR.name} was expected") from None


def _hint(said: str) -> str:
    """The nearest known names for an unknown field or enum value."""
    found = _NO_FIELD.search(said)
    if found:
        fields = list(getattr(caffe_pb2, found.group(1)).DESCRIPTOR.fields_by_name)
        return nearest(found.group(2), fields) or f"{found.group(1)} has: {', '.join(sorted(fields))}"
    found = _NO_VALUE.search(said)
    if found:
        owner, _, name = found.group(1).rpartition(".")
        enums = (getattr(caffe_pb2, owner) if owner else caffe_pb2).DESCRIPTOR.enum_types_by_name
        values = list(enums[name].values_by_name)
        return nearest(found.group(2), values) or f"known: {', '.join(values)}"
    return ""


def parse_binary(data: bytes, message: Any, source: PathLike) -> Any:
    """Parse serialized ``data`` into ``message`` and return it.

    Raises:
        CaffeError: the bytes are not such a message.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # protobuf 3.20 only warns of trailing bytes that it did not read
            message.ParseFromString(data)
    except (DecodeError, ValueError, SystemError, RuntimeWarning) as error:
        raise CaffeError(
            f"{os.fspath(source)} is no binary {message.DESCRIPTOR.name} ({len(data)} bytes): {error}",
            "is it cut short, damaged, or another kind of file? (text ones end in .prototxt, HDF5 ones in .h5)",
        ) from None
    return message


def read_bytes(path: PathLike) -> bytes:
    """The bytes of a file.

    Raises:
        CaffeError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CaffeError(os_error_message(error)) from None


def read_text(path: PathLike, message: Any) -> Any:
    """:func:`parse_text` of a file."""
    return parse_text(read_bytes(path), message, path)


def read_binary(path: PathLike, message: Any) -> Any:
    """:func:`parse_binary` of a file."""
    return parse_binary(read_bytes(path), message, path)


def read_net(path: PathLike) -> Any:
    """The NetParameter of a net's prototxt, upgraded to the current format."""
    return upgrade_net(read_text(path, caffe_pb2.NetParameter()), path)


def read_weights(path: PathLike) -> Any:
    """The NetParameter of a binary caffemodel, upgraded to the current format."""
    return upgrade_net(read_binary(path, caffe_pb2.NetParameter()), path)


def read_solver(path: PathLike) -> Any:
    """The SolverParameter of a solver's prototxt, upgraded; ``snapshot_prefix`` is filled in as Caffe fills it.

    Without a prefix it is the prototxt's path less its extension; if it names a folder, that name within the folder.
    """
    solver = upgrade_solver(read_text(path, caffe_pb2.SolverParameter()), path)
    path = Path(path)
    if not solver.snapshot_prefix:
        solver.snapshot_prefix = str(path.with_suffix(""))
    elif Path(solver.snapshot_prefix).is_dir():
        solver.snapshot_prefix = str(Path(solver.snapshot_prefix) / path.stem)
    return solver


def read_blob(path: PathLike) -> Any:
    """The BlobProto of a binaryproto (a mean image, say)."""
    return read_binary(path, caffe_pb2.BlobProto())


def to_text(message: Any) -> str:
    """The prototxt of a message."""
    return str(text_format.MessageToString(message))


def save_text(path: PathLike, message: Any) -> None:
    """Write a message as prototxt, whole or not at all."""
    write_text(path, to_text(message))


def save_binary(path: PathLike, message: Any) -> None:
    """Write a message in binary, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(message.SerializeToString())
