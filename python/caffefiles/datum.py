"""Caffe's ``Datum`` and ``BlobProto`` on the wire, for raw pixels.

A builder writes millions of Datums whose bytes differ in the pixels and the label only, so the bytes around the pixels
are made once. ``convert_imageset`` sets ``encoded`` to false explicitly; it is therefore on the wire, last.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from caffefiles.errors import CaffeError

try:  # the same CRC-32 in a seventh of the time
    from isal.isal_zlib import crc32 as crc32
except ImportError:  # there are no wheels of it for some machines
    from zlib import crc32 as crc32

CHANNELS, HEIGHT, WIDTH, DATA, LABEL, FLOAT_DATA, ENCODED = 1, 2, 3, 4, 5, 6, 7
"""Field numbers of ``Datum``."""
_VARINT, _BYTES = 0, 2
MAX_LABEL = (1 << 31) - 1


def varint(value: int) -> bytes:
    """A non-negative number in protobuf's base-128 form."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: int) -> bytes:
    return varint(number << 3 | _VARINT) + varint(value)


def head(channels: int, height: int, width: int) -> bytes:
    """What comes before the pixels of a Datum of that shape."""
    sizes = _field(CHANNELS, channels) + _field(HEIGHT, height) + _field(WIDTH, width)
    return sizes + varint(DATA << 3 | _BYTES) + varint(channels * height * width)


@lru_cache(maxsize=1 << 16)
def tail(label: int) -> bytes:
    """What comes after the pixels; ``label`` is 0..2³¹−1."""
    return _field(LABEL, label) + _field(ENCODED, 0)


@dataclass(frozen=True)
class Datum:
    """One record. ``data`` is the pixels (or, if ``encoded``, a file's bytes), a view of what was parsed."""

    channels: int
    height: int
    width: int
    data: memoryview
    label: int
    encoded: bool

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """Channels × height × width, 0..255, BGR; a view.

        Raises:
            CaffeError: encoded, or of another size than it says.
        """
        if self.encoded:
            raise CaffeError("the record holds an encoded image, raw pixels were expected")
        if len(self.data) != self.channels * self.height * self.width or not len(self.data):
            raise CaffeError(
                f"the record holds {len(self.data)} bytes, but says {self.channels} × {self.height} × {self.width}"
            )
        return np.frombuffer(self.data, np.uint8).reshape(self.channels, self.height, self.width)


def parse(value: bytes | memoryview) -> Datum:
    """Read a serialised Datum; unknown fields are passed over, as protobuf does.

    Raises:
        CaffeError: the bytes are no Datum of raw or encoded bytes.
    """
    view = memoryview(value)
    numbers = {CHANNELS: 0, HEIGHT: 0, WIDTH: 0, LABEL: 0, ENCODED: 0}
    data = view[:0]
    at = 0
    try:
        while at < len(view):
            tag, at = _read_varint(view, at)
            number, kind = tag >> 3, tag & 7
            if kind == _VARINT:
                read, at = _read_varint(view, at)
                if number in numbers:
                    numbers[number] = read
            else:
                if kind == _BYTES:
                    size, at = _read_varint(view, at)
                else:
                    size = {1: 8, 5: 4}[kind]
                if at + size > len(view):
                    raise CaffeError("the record is cut short: it is no whole Datum")
                if number == DATA and kind == _BYTES:
                    data = view[at : at + size]
                at += size
    except (IndexError, KeyError):
        raise CaffeError("the record is no Datum") from None
    signed = {n: (v & 0xFFFFFFFF) - ((v & 0x80000000) << 1) for n, v in numbers.items()}
    return Datum(signed[CHANNELS], signed[HEIGHT], signed[WIDTH], data, signed[LABEL], bool(numbers[ENCODED]))


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise CaffeError("the record is no Datum")


def blob(mean: npt.NDArray[np.float32]) -> bytes:
    """A ``BlobProto`` as ``compute_image_mean`` writes it: num, channels, height, width, packed data.

    Args:
        mean: channels × height × width.
    """
    sizes = b"".join(_field(n, size) for n, size in enumerate((1, *mean.shape), 1))
    data: bytes = np.ascontiguousarray(mean, dtype="<f4").tobytes()
    return sizes + varint(5 << 3 | _BYTES) + varint(len(data)) + data
