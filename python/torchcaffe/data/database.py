"""Databases of records, whichever backend they have. Source: ``db.cpp``."""

from __future__ import annotations

from typing import Union

from torchcaffe.data.leveldb_reader import LevelDbReader
from torchcaffe.data.lmdb_reader import LmdbReader
from torchcaffe.proto import caffe_pb2

Reader = Union[LmdbReader, LevelDbReader]
"""Has ``path``, ``count``, ``once()`` and ``records()``."""


def open_database(path: str, backend: int) -> Reader:
    """The database in a folder.

    Args:
        path: the folder.
        backend: ``DataParameter.LMDB`` or ``DataParameter.LEVELDB``.

    Raises:
        FoolCaffeError: it cannot be read so.
    """
    return LmdbReader(path) if backend == caffe_pb2.DataParameter.LMDB else LevelDbReader(path)
