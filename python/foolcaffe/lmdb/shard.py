"""A shard: the records of a range of positions, made once however often it is interrupted.

A shard is a folder: ``data.mdb`` grows by commits, ``journal.sqlite`` and ``crc32`` go with it (:mod:`journal`), and
``report.json`` is the mark that it is finished. What is there without that mark is resumed.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from caffefiles.files import fsync_folder, write_json
from caffefiles.listfile import key
from caffefiles.lmdb_reader import LmdbReader
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb.journal import Entry, Journal, as_rows, entry, write_table
from foolcaffe.lmdb.plan import Plan
from foolcaffe.lmdb.pool import Pool
from foolcaffe.lmdb.slots import Shape, crc32, for_digest
from foolcaffe.lmdb.store import Store, check_space
from foolcaffe.progress import Progress

MANY_BAD = 100
"""Without ``skip_bad`` a build stops here: so many say that ROOT or the list is wrong."""


@dataclass(frozen=True)
class Options:
    """How the work is done; none of it changes the result."""

    skip_bad: bool = False
    quiet: bool = False
    label: str = "images"


def report(folder: Path, plan: Plan, shard: int) -> dict[str, Any] | None:
    """The report of a finished shard of this plan, else None."""
    try:
        read: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    return read if read["plan"] == plan.hash and read["shard"] == shard else None


def build(plan: Plan, shard: int, folder: Path, options: Options, pool: Pool) -> dict[str, Any]:
    """Make a shard, or go on with it, or find it finished.

    Args:
        plan: opened.
        shard: its number.
        folder: the shard's own.
        options: how to work.
        pool: the workers.

    Returns:
        the report: plan, shard, first, end, lines, stored, digest, rejected, warned, decoders, …

    Raises:
        FoolCaffeError: images that cannot be stored (unless ``skip_bad``), a full disk, ….
    """
    finished = report(folder, plan, shard)
    if finished is not None:
        return finished
    first, end = plan.range(shard)
    shape = Shape.of(plan.settings)
    if not (folder / "data.mdb").exists():
        check_space(folder, end - first, shape.value_bytes)
    started = time.monotonic()
    missing, again, following = _todo(folder, first, options.skip_bad)
    with Store(folder, end - first, shape.value_bytes) as store:
        journal = Journal(folder, first)
        try:
            # what was mended since is stored now, though the journal's file still names it
            journal.keep(lambda e: e.position < following and e.bad == (e.position in missing - again))
            digest = Digest(following == first)
            versions = _work(plan, store, journal, (first, end), (again, following), options, pool, digest)
            store.finish()
        finally:
            journal.close()
        rejected = journal.rejected()
        stored = len(store)
        if rejected and not options.skip_bad:
            raise _refusal(folder, rejected, plan)
        if stored + len(rejected) != end - first:
            raise FoolCaffeError(
                f"{folder}: {stored} stored and {len(rejected)} rejected are not {end - first} lines",
                "begin again with --restart",
            )
        made = {
            "plan": plan.hash,
            "shard": shard,
            "first": first,
            "end": end,
            "lines": end - first,
            "stored": stored,
            "digest": digest.hex or digest_of(plan, first, end, folder / "crc32", {e.line for e in rejected}),
            "rejected": as_rows(rejected),
            "warned": as_rows(journal.warned()),
            "decoders": versions,
            "host": socket.gethostname(),
            "seconds": round(time.monotonic() - started, 3),
        }
    write_json(folder / "report.json", made)
    fsync_folder(folder)
    return made


def _todo(folder: Path, first: int, skip_bad: bool) -> tuple[set[int], set[int], int]:
    """What is left of an interrupted shard, while its database is closed.

    Returns:
        positions before the last record that are not stored; those of them that must be looked at again; the position
        after the last record.
    """
    data = folder / "data.mdb"
    if data.exists() and data.stat().st_size < 2 * 4096:
        data.unlink()  # killed before LMDB had written its first pages
    if not data.exists():
        return set(), set(), first
    journal = Journal(folder, first)
    missing: set[int] = set()
    following = first
    for name, value in LmdbReader(folder, allow_empty=True).once():
        position = int(name[:8])
        missing.update(range(following, position))
        journal.checksums(position, struct.pack("<I", crc32(value)))
        following = position + 1
    journal.close()
    known = {e.position for e in journal.rejected()} if skip_bad else set()
    return missing, missing - known, following


def _work(
    plan: Plan,
    store: Store,
    journal: Journal,
    where: tuple[int, int],
    left: tuple[set[int], int],
    options: Options,
    pool: Pool,
    digest: Digest,
) -> dict[str, str]:
    (first, end), (again, following) = where, left
    count = end - following + len(again)
    if not count:
        return {}
    ranges = chain(((p, p + 1) for p in sorted(again)), [(following, end)])
    pending: list[Entry] = []
    bad = 0
    with Progress(end - first, "images", options.label, options.quiet, end - first - count) as progress:
        for chunk in pool.run(ranges, count):
            pending += [entry(plan, p, reason, True) for p, reason in chunk.bad]
            pending += [entry(plan, p, reason, False) for p, reason in chunk.warned]
            bad += len(chunk.bad)
            digest.add(chunk.digested)
            full = store.put(chunk.items, len(chunk.items), append=chunk.first >= following)
            journal.checksums(chunk.first, chunk.checksums)
            many = bad >= MANY_BAD and not options.skip_bad
            if full or many:
                # the journal first: a position that is neither stored nor in the journal is looked at again
                journal.add(pending)
                pending = []
                store.commit()
            progress.advance(chunk.size)
            if many:
                raise _refusal(store.folder, journal.rejected(), plan, "so many")
        journal.add(pending)
        store.commit()
        return pool.versions


def _refusal(folder: Path, rejected: list[Entry], plan: Plan, many: str = "") -> FoolCaffeError:
    table = folder / "bad_images.txt"
    write_table(table, as_rows(rejected))
    shown = [f"{e.path} (line {e.line}): {e.reason}" for e in rejected[:10]]
    more = [f"… and {len(rejected) - 10} more"] if len(rejected) > 10 else []
    what = f"{len(rejected)} of the images cannot be stored"
    if many:
        root = plan.root.decode("utf-8", "backslashreplace")
        what += f", and so many at once say that ROOT ({root}) or the list is wrong"
    return FoolCaffeError(
        what + f": see {table}",
        "\n".join(
            [*shown, *more, "mend them and run it again, or leave them out with --skip-bad; what was stored is kept"]
        ),
    )


class Digest:
    """SHA-256 over the key of every record and the CRC-32 of its value, in order.

    Two databases of equal digests hold the same records, but for a coincidence of checksums (2⁻³² a record). It says
    what was stored; that the database holds just that is for :mod:`verify` to see.

    Args:
        whole: whether every record will be added, in order.
    """

    def __init__(self, whole: bool) -> None:
        self._whole = whole
        self._total = hashlib.sha256()

    def add(self, digested: bytes) -> None:
        """Add records, as the workers have prepared them."""
        self._total.update(digested)

    @property
    def hex(self) -> str:
        """Hexadecimal; empty if some records were not added, or not in order."""
        return self._total.hexdigest() if self._whole else ""


def digest_of(plan: Plan, first: int, end: int, crc: Path, rejected: set[int]) -> str:
    """The :class:`Digest` of positions of a plan, from their checksums.

    The database is not read again: the list's paths and the checksums say it all.

    Args:
        plan: opened.
        first, end: positions.
        crc: the checksums' file, from ``first``.
        rejected: line numbers that are not stored.
    """
    checksums = np.fromfile(crc, "<u4")
    total = Digest(True)
    for begin in range(first, end, 1024):
        total.add(
            b"".join(
                for_digest(key(position, item.path), checksums[position - first])
                for position, item in enumerate(plan.items(begin, min(1024, end - begin)), begin)
                if item.line not in rejected
            )
        )
    return total.hex
