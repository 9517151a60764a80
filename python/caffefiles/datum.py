"""Records of images: what a serialized ``Datum`` holds, and databases of them. Source: Caffe's ``util/io.cpp``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from caffefiles.errors import CaffeError
from caffefiles.files import PathLike
from caffefiles.lmdb_reader import LmdbReader
from caffefiles.proto import caffe_pb2


class Record(NamedTuple):
    """One image of a database."""

    key: str
    label: int
    pixels: NDArray[Any]
    """Channels × height × width, BGR, 0..255: uint8, or float32 where the Datum holds floats."""


def read_datum(
    value: bytes | memoryview, key: bytes, source: str, decode: Callable[[bytes, str], NDArray[Any]] | None = None
) -> Record:
    """Read a serialized Datum.

    Args:
        value: the bytes.
        key: the record's key.
        source: the database, for errors.
        decode: turns an encoded image's bytes, given what they are for errors, into pixels; None refuses them.

    Raises:
        CaffeError: if the bytes are no Datum, its numbers do not fill its shape, or its image is encoded and cannot be
            decoded.
    """
    name = key.decode("utf-8", "backslashreplace")
    where = f"record {name!r} of {source!r}"
    datum = parse_datum(value, where)
    if datum.encoded and decode is not None:
        return Record(name, datum.label, decode(datum.data, f"the image in {where}"))
    return Record(name, datum.label, datum_pixels(datum, where))


def parse_datum(value: bytes | memoryview, where: str = "the record") -> Any:
    """Parse a serialized Datum; ``where`` is what it is called in the error.

    Raises:
        CaffeError: if the bytes are no whole Datum.
    """
    datum = caffe_pb2.Datum()
    try:
        datum.ParseFromString(bytes(value))
    except (DecodeError, ValueError, SystemError) as error:
        raise CaffeError(
            f"{where} is no Datum, or is cut short: {error}", "the database is damaged, or of another kind"
        ) from None
    return datum


def datum_pixels(datum: Any, where: str = "the record") -> NDArray[Any]:
    """Return the raw pixels of a Datum: channels × height × width, BGR, uint8, or float32 where it holds floats.

    Raises:
        CaffeError: if it holds an encoded image, or other than its shape says.
    """
    if datum.encoded:
        raise CaffeError(f"{where} holds an encoded image, raw pixels were expected", "convert it without --encoded")
    shape = (datum.channels, datum.height, datum.width)
    pixels = np.frombuffer(datum.data, np.uint8) if datum.data else np.array(datum.float_data, np.float32)
    if min(shape) < 1 or pixels.size != shape[0] * shape[1] * shape[2]:
        raise CaffeError(
            f"{where} holds {pixels.size} {'numbers' if datum.float_data else 'bytes'}, "
            f"but says {' × '.join(map(str, shape))}",
            "the database is damaged: build it again",
        )
    return pixels.reshape(shape)


class DatumLMDB:
    """An LMDB of images with raw pixels, opened for reading. A context manager; ``len()`` counts the records.

    Args:
        path: the folder that holds ``data.mdb``.

    Raises:
        CaffeError: if it is missing, no LMDB, cut short, or empty.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = path
        self._reader = LmdbReader(path)

    def __len__(self) -> int:
        return self._reader.count

    def __enter__(self) -> DatumLMDB:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is kept open but a file, which closes itself."""

    def __iter__(self) -> Iterator[Record]:
        """Iterate over all records in key order, which is Caffe's.

        Raises:
            CaffeError: if a page or a record is damaged; it names the key.
        """
        for key, value in self._reader.once():
            yield read_datum(value, key, self._reader.path)

    def record(self, position: int) -> Record:
        """Return the record at a position in key order, counted from 0.

        Raises:
            CaffeError: if there is no such position, or the record is damaged.
        """
        key, value = self._reader.at(position)
        return read_datum(value, key, self._reader.path)
