"""Databases of records, whichever backend they have. Source: ``db.cpp``."""

from __future__ import annotations

from typing import Union

from caffefiles.leveldb_reader import LevelDbReader
from caffefiles.lmdb_reader import LmdbReader
from caffefiles.proto import caffe_pb2

Reader = Union[LmdbReader, LevelDbReader]
"""Has ``path``, ``count``, ``once()`` and ``records()``."""


def open_database(path: str, backend: int) -> Reader:
    """The database in a folder.

    Args:
        path: the folder.
        backend: ``DataParameter.LMDB`` or ``DataParameter.LEVELDB``.

    Raises:
        CaffeError: it cannot be read so.
    """
    return LmdbReader(path) if backend == caffe_pb2.DataParameter.LMDB else LevelDbReader(path)
