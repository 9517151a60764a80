"""What was rejected, and checksums, beside a database under construction.

``journal.sqlite`` has a row for each image that was rejected or warned of, on disk before the LMDB commit that passes
over it. ``crc32`` has four bytes a position, little-endian: the CRC-32 of the record's value, 0 where nothing is
stored. It is not flushed at each commit, but made again from the records when an interrupted shard is resumed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable, NamedTuple

from caffefiles import listfile
from foolcaffe.lmdb.plan import Plan

JOURNAL = "journal.sqlite"
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
        self._crc = os.open(folder / "crc32", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._first = first
        self._rows = sqlite3.connect(folder / JOURNAL)
        # a commit is on disk when it returns, as LMDB's is
        self._rows.execute("PRAGMA synchronous = FULL")
        self._rows.execute(
            "CREATE TABLE IF NOT EXISTS entries (position INTEGER PRIMARY KEY, line INTEGER, path, reason, bad INTEGER)"
        )
        self.entries: dict[int, Entry] = {
            position: Entry(position, line, path, reason, bool(bad))
            for position, line, path, reason, bad in self._rows.execute("SELECT * FROM entries")
        }

    def close(self) -> None:
        """Flush and close."""
        self._rows.close()
        os.fsync(self._crc)
        os.close(self._crc)

    def add(self, found: Iterable[Entry]) -> None:
        """Note entries, on disk when this returns. A later entry of a position takes the place of an earlier one."""
        new = list(found)
        if new:
            with self._rows:
                self._rows.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", new)
            self.entries.update((e.position, e) for e in new)

    def keep(self, condition: Callable[[Entry], bool]) -> None:
        """Forget the entries that do not meet a condition; the file keeps them until their positions come again."""
        self.entries = {p: e for p, e in self.entries.items() if condition(e)}

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
