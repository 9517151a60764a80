"""What was rejected, and checksums, beside a database under construction.

``journal.jsonl``: a line a rejected or warned-of image, on disk before the commit that passes over it. ``crc32``: four
bytes a position, little-endian, the CRC-32 of the record's value, 0 where nothing is stored; not flushed at each
commit, but made again from the records when an interrupted shard is gone on with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable, NamedTuple

from caffefiles import listfile
from foolcaffe.lmdb.plan import Plan

CRC_BYTES = 4


class Entry(NamedTuple):
    """An image that is not stored (``bad``), or stored with a warning."""

    position: int
    line: int
    path: str
    reason: str
    bad: bool


def entry(plan: Plan, position: int, reason: str, bad: bool) -> Entry:
    """An entry for a position of a plan."""
    item = plan.item(position)
    return Entry(position, item.line, listfile.show(item.path), reason, bad)


class Journal:
    """The journal of a shard.

    Args:
        folder: of the shard.
        first: the shard's first position.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self._file = folder / "journal.jsonl"
        self._crc = os.open(folder / "crc32", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._first = first
        self.entries: dict[int, Entry] = {}
        if self._file.exists():
            for line in self._file.read_bytes().split(b"\n")[:-1]:  # what follows the last line feed was cut off
                try:
                    read = Entry(*json.loads(line))
                except (ValueError, TypeError):
                    continue  # torn by a power cut; the position is looked at again
                self.entries[read.position] = read
        self._torn = (
            self._file.exists() and not self._file.read_bytes().endswith(b"\n") and self._file.stat().st_size > 0
        )

    def close(self) -> None:
        """Flush and close."""
        os.fsync(self._crc)
        os.close(self._crc)

    def add(self, found: Iterable[Entry]) -> None:
        """Note entries, on disk when this returns."""
        new = list(found)
        if not new:
            return
        with self._file.open("ab") as file:
            if self._torn:
                file.write(b"\n")
                self._torn = False
            file.write(b"".join(json.dumps(e).encode() + b"\n" for e in new))
            file.flush()
            os.fsync(file.fileno())
        self.entries.update((e.position, e) for e in new)

    def keep(self, wanted: Callable[[Entry], bool]) -> None:
        """Forget other entries; the file keeps them, a later entry of the same position counts."""
        self.entries = {p: e for p, e in self.entries.items() if wanted(e)}

    def checksums(self, first: int, data: bytes) -> None:
        """Note the checksums of positions from ``first``."""
        os.pwrite(self._crc, data, (first - self._first) * CRC_BYTES)

    def rejected(self) -> list[Entry]:
        """Images that are not stored, by position."""
        return [e for _, e in sorted(self.entries.items()) if e.bad]

    def warned(self) -> list[Entry]:
        """Images that are stored with a warning, by position."""
        return [e for _, e in sorted(self.entries.items()) if not e.bad]


def as_rows(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """For reports."""
    return [{"line": e.line, "path": e.path, "reason": e.reason} for e in entries]


def write_table(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """``bad_images.txt``: path, reason and line, separated by tabs."""
    file.write_text("".join(f"{r['path']}\t{r['reason']}\tline {r['line']}\n" for r in rows), encoding="utf-8")
