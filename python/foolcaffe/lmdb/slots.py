"""What the builder and its workers share: how records lie in the slots of the shared memory, and how tasks are told."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from caffefiles import datum
from foolcaffe.lmdb.plan import Settings

TASK = struct.Struct("<IQII")
"""slot, first position, count, bytes of what follows as JSON: {index: reason} of the condemned, or the folder of the
database that is to be read back."""
SIZES = struct.Struct("<HI")
"""Of a record: length of the key, length of the value (0: rejected)."""
LENGTH = struct.Struct("<I")
_DIGESTED = struct.Struct("<HI")
KEY_ROOM = 512
HEADER = 64
"""At the start of a slot: the index of the image being worked on, so that a death can be told which image it was."""
NOTHING = 0xFFFFFFFF
CPU_SECONDS = 60.0


@dataclass(frozen=True)
class Shape:
    """How records lie in a slot: at a fixed stride, key first, value from ``KEY_ROOM``."""

    channels: int
    height: int
    width: int

    @classmethod
    def of(cls, settings: Settings) -> Shape:
        """Of the records that a plan asks for."""
        return cls(settings.channels, settings.height, settings.width)

    @property
    def value_bytes(self) -> int:
        """The largest value."""
        return len(datum.head(self.channels, self.height, self.width)) + self.channels * self.height * self.width + 16

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
