"""Checks the pages of an LMDB before LMDB reads them, since it trusts them: a damaged one may end the process.

Source: the structures MDB_meta, MDB_db, MDB_page and MDB_node of LMDB 0.9 on a 64-bit machine, little-endian.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

_META_ROOT, _META_TXNID = 128, 144
"""Offsets in a meta page: of the main database's root page, and of the transaction's number."""
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4
_BIG = 1
"""A node's flag: its value lies in overflow pages."""
_HEADER = 16
_NODE = np.dtype([("low", "<u2"), ("high", "<u2"), ("flags", "<u2"), ("key", "<u2")])


class Damaged(Exception):
    """What is wrong with a page."""


class Pages:
    """The pages of one snapshot.

    Args:
        file: the open ``data.mdb``.
        size: bytes of a page.
        last: the number of the last page.
        txnid: the snapshot's transaction.
        depth: levels of the tree.

    Raises:
        Damaged: no meta page belongs to that transaction.
    """

    def __init__(self, file: BinaryIO, size: int, last: int, txnid: int, depth: int) -> None:
        self._file, self._size, self._last, self._depth = file, size, last, depth
        for number in (0, 1):
            page = self._read(number)
            if struct.unpack_from("<Q", page, _META_TXNID)[0] == txnid:
                self._root: int = struct.unpack_from("<Q", page, _META_ROOT)[0]
                return
        raise Damaged(f"no meta page is of transaction {txnid}")

    def leaves(self) -> Iterator[int]:
        """For each leaf, in key order, the number of its records; it is checked, and so is the way to it.

        Raises:
            Damaged: one of those pages cannot be right.
        """
        yield from self._below(self._root, 1)

    def _read(self, number: int) -> bytes:
        page = os.pread(self._file.fileno(), self._size, number * self._size)
        if len(page) < self._size:
            raise Damaged(f"page {number} lies behind the end of the file")
        return page

    def _below(self, number: int, level: int) -> Iterator[int]:
        if not 2 <= number <= self._last:
            raise Damaged(f"page {number} is referred to, there are 2..{self._last}")
        page = self._read(number)
        own, _, kind, lower, upper = struct.unpack_from("<QHHHH", page)
        count = (lower - _HEADER) // 2
        if (
            own != number
            or kind != (_LEAF if level == self._depth else _BRANCH)
            or not (_HEADER < lower <= upper <= self._size and lower % 2 == 0)
        ):
            raise Damaged(f"the header of page {number} is wrong")
        at = np.frombuffer(page, "<u2", count, _HEADER).astype(np.int64)
        if at.min() < upper or at.max() > self._size - _NODE.itemsize or (at % 2).any():
            raise Damaged(f"page {number} has nodes outside itself")
        raw = np.frombuffer(page, np.uint8)[at[:, None] + np.arange(_NODE.itemsize)]
        nodes = raw.reshape(-1).view(_NODE)
        low, high, flags, key = (nodes[name].astype(np.int64) for name in ("low", "high", "flags", "key"))
        room = self._size - at - _NODE.itemsize - key
        if kind == _BRANCH:
            if room.min() < 0:
                raise Damaged(f"page {number} has keys outside itself")
            for child in low | high << 16 | flags << 32:
                yield from self._below(int(child), level + 1)
            return
        length = low | high << 16
        big = flags == _BIG
        if (flags & ~_BIG).any() or (room < np.where(big, 8, length)).any():
            raise Damaged(f"page {number} has records outside itself")
        for i in np.flatnonzero(big):
            self._check_overflow(struct.unpack_from("<Q", page, int(at[i] + _NODE.itemsize + key[i]))[0], length[i])
        yield count

    def _check_overflow(self, number: int, length: int) -> None:
        if 2 <= number <= self._last:
            header = os.pread(self._file.fileno(), _HEADER, number * self._size)
            own, _, kind, pages = struct.unpack("<QHHI", header)
            enough = _HEADER + length <= pages * self._size and number + pages - 1 <= self._last
            if own == number and kind == _OVERFLOW and enough:
                return
        raise Damaged(f"page {number} does not hold the value of {length} bytes that it should")
