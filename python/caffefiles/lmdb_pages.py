"""Reads LMDB's B+ tree page by page, each page checked: LMDB itself trusts its pages, and a damaged one may crash it.

Source: the structures MDB_meta, MDB_db, MDB_page and MDB_node of LMDB 0.9 on a 64-bit machine, little-endian.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from caffefiles.files import read_at

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_META = struct.Struct("<QHHHH II QQ IHHQQQQQ IHHQQQQQ QQ")
"""Page header; magic, version; address, map size; the free list's and the main database's MDB_db; last page, txnid."""
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE = 1, 2, 4, 8
_BIG = 1
"""The flag of a node whose value lies in overflow pages."""
_HEADER = struct.Struct("<QHHHH")
_OVERFLOW_HEADER = struct.Struct("<QHHI")
_NODE = np.dtype([("low", "<u2"), ("high", "<u2"), ("flags", "<u2"), ("key", "<u2")])
_NODE_BYTES = _NODE.itemsize
_NO_PAGE = (1 << 64) - 1


class Damaged(Exception):
    """What is wrong with a page."""


class _Leaf(NamedTuple):
    page: bytes
    at: list[int]
    """The offset at which each node begins."""
    key: list[int]
    """The length of each key."""
    big: list[bool]
    length: list[int]
    """The length of each value."""


class Tree:
    """The records of the last commit.

    Attributes:
        count: how many records there are.
        needed: the size of the file, in bytes, that the pages need.

    Args:
        file: the descriptor of ``data.mdb``; the caller closes it.

    Raises:
        Damaged: if the file does not begin with two meta pages.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        first = self._meta(0, 0)
        self._size: int = first[9]
        if self._size not in (1 << i for i in range(9, 17)):
            raise Damaged(f"it says that a page has {self._size} bytes")
        second = self._meta(1, self._size)
        meta = second if second[-1] > first[-1] else first
        if second[9] != self._size or meta[18] & 0x7FFF:
            raise Damaged("its meta pages are not those of a plain database")
        self._depth, self.count, self._root, self._last = meta[19], meta[23], meta[24], meta[25]
        self.needed: int = (self._last + 1) * self._size

    def _meta(self, number: int, offset: int) -> Any:
        data = read_at(self._file, _META.size, offset)
        if len(data) < _META.size:
            raise Damaged("it has no meta pages")
        meta = _META.unpack(data)
        if meta[0] != number or meta[2] != _META_PAGE or meta[5:7] != (_MAGIC, _VERSION):
            raise Damaged(f"page {number} is not a meta page of LMDB")
        return meta

    def records(self, start: bytes = b"") -> Iterator[tuple[bytes, memoryview]]:
        """Iterate over key and value of every record from the key ``start`` on, in key order.

        Raises:
            Damaged: if a page on the way cannot be right.
        """
        for leaf in self._leaves(start):
            for i in range(len(leaf.at)):
                record = self._record(leaf, i)
                if record[0] >= start:
                    yield record

    def record(self, position: int) -> tuple[bytes, memoryview]:
        """Return the record at a position in key order, 0..count − 1.

        Raises:
            Damaged: if a page on the way cannot be right.
        """
        numbers, ends = self._directory
        place = int(np.searchsorted(ends, position, side="right"))
        if place == len(numbers):
            raise Damaged(f"{ends[-1] if len(ends) else 0} records were found, it says it has {self.count}")
        leaf = self._leaf(int(numbers[place]), self._page(int(numbers[place]), _LEAF))
        return self._record(leaf, position - int(ends[place]) + len(leaf.at))

    @cached_property
    def _directory(self) -> tuple[Any, Any]:
        """The number of each leaf, in key order, and how many records it and those before it hold."""
        numbers = list(self._leaf_numbers(self._root, 1, b"")) if self._root != _NO_PAGE else []
        counts = [(_HEADER.unpack_from(self._page(n, _LEAF))[3] - _HEADER.size) // 2 for n in numbers]
        return np.array(numbers, np.uint64), np.cumsum(counts)

    def _record(self, leaf: _Leaf, i: int) -> tuple[bytes, memoryview]:
        at = leaf.at[i] + _NODE_BYTES
        value = at + leaf.key[i]
        key = leaf.page[at:value]
        if leaf.big[i]:
            return key, self._overflow(struct.unpack_from("<Q", leaf.page, value)[0], leaf.length[i])
        return key, memoryview(leaf.page)[value : value + leaf.length[i]]

    def _leaves(self, start: bytes) -> Iterator[_Leaf]:
        if self._root != _NO_PAGE:
            for number in self._leaf_numbers(self._root, 1, start):
                yield self._leaf(number, self._page(number, _LEAF))

    def _leaf_numbers(self, number: int, level: int, start: bytes) -> Iterator[int]:
        if level == self._depth:
            yield number
            return
        page = self._page(number, _BRANCH)
        at, nodes = self._nodes(number, page)
        low, high, flags, key = (nodes[name].astype(np.int64) for name in ("low", "high", "flags", "key"))
        if (self._size - at - _NODE_BYTES - key).min() < 0:
            raise Damaged(f"page {number} has keys outside itself")
        children = (low | high << 16 | flags << 32).tolist()
        first = 0
        if start:  # the first key of a branch stands for every key before the second one
            keys = [page[a : a + n] for a, n in zip((at + _NODE_BYTES).tolist(), key.tolist())]
            first = bisect_right(keys[1:], start)
        for i, child in enumerate(children[first:]):
            yield from self._leaf_numbers(child, level + 1, b"" if i else start)

    def _page(self, number: int, kind: int) -> bytes:
        if not 2 <= number <= self._last:
            raise Damaged(f"page {number} is referred to, there are 2..{self._last}")
        page = read_at(self._file, self._size, number * self._size)
        if len(page) < self._size:
            raise Damaged(f"page {number} lies behind the end of the file")
        own, _, flags, lower, upper = _HEADER.unpack_from(page)
        fits = _HEADER.size < lower <= upper <= self._size and lower % 2 == 0
        if own != number or flags != kind or not fits:
            raise Damaged(f"the header of page {number} is wrong")
        return page

    def _nodes(self, number: int, page: bytes) -> tuple[Any, Any]:
        _, _, _, lower, upper = _HEADER.unpack_from(page)
        at = np.frombuffer(page, "<u2", (lower - _HEADER.size) // 2, _HEADER.size).astype(np.int64)
        if at.min() < upper or at.max() > self._size - _NODE_BYTES or (at % 2).any():
            raise Damaged(f"page {number} has nodes outside itself")
        raw = np.frombuffer(page, np.uint8)[at[:, None] + np.arange(_NODE_BYTES)]
        return at, raw.reshape(-1).view(_NODE)

    def _leaf(self, number: int, page: bytes) -> _Leaf:
        at, nodes = self._nodes(number, page)
        low, high, flags, key = (nodes[name].astype(np.int64) for name in ("low", "high", "flags", "key"))
        room = self._size - at - _NODE_BYTES - key
        length = low | high << 16
        big = flags == _BIG
        if (flags & ~_BIG).any() or (room < np.where(big, 8, length)).any():
            raise Damaged(f"page {number} has records outside itself")
        return _Leaf(page, at.tolist(), key.tolist(), big.tolist(), length.tolist())

    def _overflow(self, number: int, length: int) -> memoryview:
        end = number * self._size + _OVERFLOW_HEADER.size + length
        if number >= 2 and end <= self.needed:
            data = read_at(self._file, _OVERFLOW_HEADER.size + length, number * self._size)
            if len(data) == _OVERFLOW_HEADER.size + length:
                own, _, flags, pages = _OVERFLOW_HEADER.unpack_from(data)
                inside = len(data) <= pages * self._size and number + pages - 1 <= self._last
                if own == number and flags == _OVERFLOW and inside:
                    return memoryview(data)[_OVERFLOW_HEADER.size :]
        raise Damaged(f"page {number} does not hold the value of {length} bytes that it should")
