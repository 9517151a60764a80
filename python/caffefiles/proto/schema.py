"""Reads ``caffe.proto`` and makes message classes of it, at import, with whatever protobuf there is (3.20 to current).

protoc's output is bound to a range of protobuf versions; a descriptor is not. See docs/decisions/schema.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

SCHEMA = Path(__file__).with_name("caffe.proto")

_TOKEN = re.compile(r'//[^\n]*|\s+|("[^"]*"|[A-Za-z_][\w.]*|-?\d[\w.+-]*|[{}\[\]=;,])')
_FIELD = descriptor_pb2.FieldDescriptorProto
_LABELS = {"optional": _FIELD.LABEL_OPTIONAL, "required": _FIELD.LABEL_REQUIRED, "repeated": _FIELD.LABEL_REPEATED}
_SCALARS = {
    name[len("TYPE_") :].lower(): number
    for name, number in _FIELD.Type.items()
    if name not in ("TYPE_MESSAGE", "TYPE_ENUM", "TYPE_GROUP")
}


def parse(text: str) -> Any:
    """The FileDescriptorProto of a proto2 file that has enums, messages, nested enums, defaults and ``packed`` only.

    Raises:
        ValueError: anything else is in it.
    """
    tokens = _tokens(text)
    file = descriptor_pb2.FileDescriptorProto(name="caffe/proto/caffe.proto")
    position = 0

    def take(*expected: str) -> str:
        nonlocal position
        token = tokens[position]
        if expected and token not in expected:
            raise ValueError(f"{SCHEMA.name}: expected {' or '.join(expected)} instead of {token!r} (token {position})")
        position += 1
        return token

    def enum(target: Any) -> None:
        target.name = take()
        take("{")
        while tokens[position] != "}":
            name = take()
            take("=")
            target.value.add(name=name, number=int(take()))
            take(";")
        take("}")

    def field(target: Any) -> None:
        target.label = _LABELS[take(*_LABELS)]
        kind = take()
        if kind in _SCALARS:
            target.type = _SCALARS[kind]
        else:
            target.type_name = kind  # resolved below, when all names are known
        target.name = take()
        take("=")
        target.number = int(take())
        if take("[", ";") == "[":
            closing = ","
            while closing == ",":
                option = take("default", "packed")
                take("=")
                if option == "default":
                    target.default_value = take().strip('"')
                else:
                    target.options.packed = take("true", "false") == "true"
                closing = take(",", "]")
            take(";")

    def message(target: Any) -> None:
        target.name = take()
        take("{")
        while tokens[position] != "}":
            if tokens[position] == "enum":
                take()
                enum(target.enum_type.add())
            else:
                field(target.field.add())
        take("}")

    while position < len(tokens):
        keyword = take("syntax", "package", "enum", "message")
        if keyword == "enum":
            enum(file.enum_type.add())
        elif keyword == "message":
            message(file.message_type.add())
        else:
            if keyword == "syntax":
                take("=")
            value = take()
            take(";")
            if keyword == "package":
                file.package = value
    _resolve(file)
    return file


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{SCHEMA.name}:{text.count(chr(10), 0, position) + 1}: cannot read {text[position]!r}")
        if match.group(1):
            tokens.append(match.group(1))
        position = match.end()
    return tokens


def _resolve(file: Any) -> None:
    """Give every named type its full name and its kind, as protoc does: the message's own scope first."""
    messages = {message.name for message in file.message_type}
    enums = {enum.name for enum in file.enum_type}
    for message in file.message_type:
        own = {enum.name for enum in message.enum_type}
        enums |= {f"{message.name}.{name}" for name in own}
    for message in file.message_type:
        own = {enum.name for enum in message.enum_type}
        for field in message.field:
            if field.HasField("type"):
                continue
            name = f"{message.name}.{field.type_name}" if field.type_name in own else field.type_name
            if name not in enums | messages:
                raise ValueError(f"{SCHEMA.name}: {message.name}.{field.name} is of an unknown type {name}")
            field.type = _FIELD.TYPE_ENUM if name in enums else _FIELD.TYPE_MESSAGE
            field.type_name = f".{file.package}.{name}"


def module_members(module: str) -> dict[str, Any]:
    """What protoc's module for the schema would hold: message classes, enums, enum values, ``DESCRIPTOR``.

    The pool is our own, so that real Caffe's caffe_pb2 may live in the same process.

    Args:
        module: the name of the module that will hold them.
    """
    file = parse(SCHEMA.read_text(encoding="utf-8"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if not hasattr(pool, "AddSerializedFile") else pool.AddSerializedFile(file.SerializeToString())
    descriptor = pool.FindFileByName(file.name)
    members: dict[str, Any] = {"DESCRIPTOR": descriptor}
    factory: Any = None if hasattr(message_factory, "GetMessageClass") else message_factory.MessageFactory(pool)
    for name, message in descriptor.message_types_by_name.items():
        made = message_factory.GetMessageClass(message) if factory is None else factory.GetPrototype(message)
        made.__module__ = module
        members[name] = made
    for name, enum in descriptor.enum_types_by_name.items():
        members[name] = enum_type_wrapper.EnumTypeWrapper(enum)
        members.update((value.name, value.number) for value in enum.values)
    return members
