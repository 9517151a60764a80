"""What the builder and its workers share: a record's bytes, where they lie in shared memory, and the messages.

A builder writes millions of Datums whose bytes differ in the pixels and the label only, so the bytes around the pixels
are made once. ``convert_imageset`` sets ``encoded`` to false explicitly; it is therefore on the wire, last.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from foolcaffe.lmdb.plan import Settings

try:  # the same CRC-32 in a seventh of the time
    from isal.isal_zlib import crc32 as crc32
except ImportError:  # there are no wheels of it for some machines
    from zlib import crc32 as crc32

TASK = struct.Struct("<IQII")
"""slot, first position, count, bytes of what follows as JSON: {index: reason} of the condemned, or the folder of the
database that is to be read back."""
SIZES = struct.Struct("<HI")
"""Of a record: length of the key, length of the value (0: rejected)."""
LENGTH = struct.Struct("<I")
_DIGESTED = struct.Struct("<HI")
KEY_ROOM = 512
HEADER = 64
"""At the start of a slot: the index of the image being worked on, so that a death can be blamed on it."""
NOTHING = 0xFFFFFFFF
CPU_SECONDS = 60.0


def _varint(value: int) -> bytes:
    """A non-negative number in protobuf's base-128 form."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def head(channels: int, height: int, width: int) -> bytes:
    """What comes before the pixels of a Datum of that shape: fields 1 to 3, and the tag and length of field 4."""
    sizes = b"\x08%b\x10%b\x18%b" % (_varint(channels), _varint(height), _varint(width))
    return sizes + b"\x22" + _varint(channels * height * width)


@lru_cache(maxsize=1 << 16)
def tail(label: int) -> bytes:
    """What comes after the pixels: field 5, the label, 0..2³¹−1, and field 7, encoded, false."""
    return b"\x28%b\x38\x00" % _varint(label)


@dataclass(frozen=True)
class Shape:
    """How records lie in a slot: at a fixed stride, key first, value from ``KEY_ROOM``."""

    channels: int
    height: int
    width: int

    @classmethod
    def of(cls, settings: Settings) -> Shape:
        """Return the shape of the records that a plan asks for."""
        return cls(settings.channels, settings.height, settings.width)

    @property
    def value_bytes(self) -> int:
        """The largest value."""
        return len(head(self.channels, self.height, self.width)) + self.channels * self.height * self.width + 16

    @property
    def stride(self) -> int:
        """Bytes from a record to the next."""
        return -(-(KEY_ROOM + self.value_bytes) // 64) * 64

    def slot_bytes(self, chunk: int) -> int:
        """Bytes of a slot for ``chunk`` records."""
        return HEADER + chunk * self.stride


class Done(NamedTuple):
    """What became of a range of positions. Its records lie in the slot."""

    sizes: bytes
    """``SIZES`` of each position."""
    checksums: bytes
    """CRC-32 of each value, 4 bytes little-endian a position; 0 for a rejected one."""
    digested: bytes
    """What goes into the digest, see :func:`for_digest`."""
    bad: list[tuple[int, str]]
    """(index, reason) of those that are rejected."""
    warned: list[tuple[int, str]]
    """(index, warning) of those that are stored nevertheless."""


def for_digest(key: bytes, checksum: int) -> bytes:
    """What a record adds to the digest of a database."""
    return key + _DIGESTED.pack(len(key), checksum)
