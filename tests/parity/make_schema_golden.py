"""Writes ``goldens/schema.txt``: every fact of real Caffe's schema, a line each. Run by real Caffe's Python.

.caffe/bin/python tests/parity/make_schema_golden.py
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "goldens" / "schema.txt"


def facts(descriptor: Any) -> list[str]:
    """A sorted line for every enum value and field of a file's descriptor."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto()
    descriptor.CopyToProto(file)
    lines = [f"package {file.package}"]

    def enums(owner: str, owned: Any) -> None:
        lines.extend(f"enum {owner}{e.name}.{v.name} = {v.number}" for e in owned for v in e.value)

    enums("", file.enum_type)
    for message in file.message_type:
        lines.append(f"message {message.name}")
        enums(f"{message.name}.", message.enum_type)
        for f in message.field:
            value = f.default_value
            if f.type == f.TYPE_FLOAT and value:  # protobuf's versions print more or fewer digits of a float
                value = repr(struct.unpack("f", struct.pack("f", float(value)))[0])
            default = f" default {value!r}" if f.HasField("default_value") else ""
            packed = " packed" if f.options.packed else ""
            lines.append(
                f"field {message.name}.{f.name} = {f.number} label {f.label} type {f.type} {f.type_name}"
                f"{default}{packed}"
            )
    return sorted(lines)


if __name__ == "__main__":
    from caffe.proto import caffe_pb2

    GOLDEN.write_text("\n".join(facts(caffe_pb2.DESCRIPTOR)) + "\n")
