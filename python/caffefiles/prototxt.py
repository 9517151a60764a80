"""Nets and solvers as prototxts, and Caffe's binary messages: read, upgraded and written, with located errors.

Sources: Caffe's ``util/io.cpp`` and ``util/upgrade_proto.cpp``.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from caffefiles.errors import CaffeError, nearest, os_error_message
from caffefiles.files import PathLike, atomic_path, write_text
from caffefiles.proto import caffe_pb2
from caffefiles.upgrade import upgrade_net, upgrade_solver

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
        CaffeError: if the text is not such a message; it names file, line, column, field and the nearest known names.
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
        problem = _WHERE.sub("", str(error)).rstrip(".")
        raise CaffeError(f"{where}: {problem}", _hint(problem)) from None
    except (ValueError, RecursionError) as error:
        raise CaffeError(f"{os.fspath(source)}: {error}", f"a {message.DESCRIPTOR.name} was expected") from None


def _hint(problem: str) -> str:
    """Offer the known names nearest to an unknown field or enum value."""
    found = _NO_FIELD.search(problem)
    if found:
        fields = list(getattr(caffe_pb2, found.group(1)).DESCRIPTOR.fields_by_name)
        return nearest(found.group(2), fields) or f"{found.group(1)} has: {', '.join(sorted(fields))}"
    found = _NO_VALUE.search(problem)
    if found:
        owner, _, name = found.group(1).rpartition(".")
        enums = (getattr(caffe_pb2, owner) if owner else caffe_pb2).DESCRIPTOR.enum_types_by_name
        values = list(enums[name].values_by_name)
        return nearest(found.group(2), values) or f"known: {', '.join(values)}"
    return ""


def parse_binary(data: bytes, message: Any, source: PathLike, what: str = "") -> Any:
    """Parse serialized ``data`` into ``message`` and return it.

    Args:
        data: the bytes.
        message: an empty message of :mod:`caffefiles.proto.caffe_pb2`.
        source: what the bytes were read from, for the error.
        what: what people call such a file, ``caffemodel`` say, for the error.

    Raises:
        CaffeError: if the bytes are not such a message.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # protobuf 3.20 only warns of trailing bytes that it did not read
            message.ParseFromString(data)
    except (DecodeError, ValueError, SystemError, RuntimeWarning) as error:
        kind = f"{what}, or a truncated one" if what else f"binary {message.DESCRIPTOR.name}"
        raise CaffeError(
            f"{os.fspath(source)} is no {kind} ({len(data)} bytes): {error}",
            "is it cut short, damaged, or another kind of file? (text ones end in .prototxt, HDF5 ones in .h5)",
        ) from None
    return message


def read_bytes(path: PathLike, what: str = "", hint: str = "") -> bytes:
    """Read a file.

    Args:
        path: the file.
        what: what people call it; a missing file is then reported as "no <what> at <path>".
        hint: how to get a missing file.

    Raises:
        CaffeError: if it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        if what and isinstance(error, FileNotFoundError):
            raise CaffeError(f"no {what} at {os.fspath(path)}", hint) from None
        raise CaffeError(os_error_message(error), hint) from None


def read_text(path: PathLike, message: Any, what: str = "", hint: str = "") -> Any:
    """:func:`parse_text` of a file; ``what`` and ``hint`` as for :func:`read_bytes`."""
    return parse_text(read_bytes(path, what, hint), message, path)


def read_binary(path: PathLike, message: Any, what: str = "", hint: str = "") -> Any:
    """:func:`parse_binary` of a file; ``what`` and ``hint`` as for :func:`read_bytes`."""
    return parse_binary(read_bytes(path, what, hint), message, path, what)


def read_net(path: PathLike) -> Any:
    """Read a net's prototxt as a NetParameter, upgraded to the current format."""
    return upgrade_net(read_text(path, caffe_pb2.NetParameter()), path)


def read_solver(path: PathLike) -> Any:
    """Read a solver's prototxt as a SolverParameter, upgraded, its ``snapshot_prefix`` filled in as Caffe does it.

    Without a prefix it is the prototxt's path less its extension; if it names a folder, that name within the folder.
    """
    solver = upgrade_solver(read_text(path, caffe_pb2.SolverParameter()), path)
    path = Path(path)
    if not solver.snapshot_prefix:
        solver.snapshot_prefix = str(path.with_suffix(""))
    elif Path(solver.snapshot_prefix).is_dir():
        solver.snapshot_prefix = str(Path(solver.snapshot_prefix) / path.stem)
    return solver


def to_text(message: Any) -> str:
    """Return a message as prototxt."""
    return str(text_format.MessageToString(message))


def save_text(path: PathLike, message: Any, header: str = "") -> None:
    """Write a message as prototxt, whole or not at all, below the lines of ``header`` as comments."""
    write_text(path, "".join(f"# {line}\n" for line in header.splitlines()) + to_text(message))


def save_binary(path: PathLike, message: Any) -> None:
    """Write a message in binary, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(message.SerializeToString())
