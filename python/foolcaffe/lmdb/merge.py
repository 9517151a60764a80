"""Shards → one database, in key order; and publishing it under its name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from caffefiles.files import fsync_folder, write_json
from caffefiles.lmdb_reader import LmdbReader
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb import shard as shards
from foolcaffe.lmdb.journal import CRC_BYTES, JOURNAL, write_table
from foolcaffe.lmdb.plan import Plan
from foolcaffe.lmdb.slots import Shape, crc32
from foolcaffe.lmdb.store import Store, check_space
from foolcaffe.progress import Progress

_BATCH = 256


def shard_folder(partial: Path, shard: int) -> Path:
    """Return where a shard lies in a build's working folder."""
    return partial / "shards" / f"{shard:05d}"


def merge(plan: Plan, partial: Path, quiet: bool = False) -> tuple[Path, dict[str, Any]]:
    """Copy the shards' records into one database, or take the only shard as it is; goes on where it was interrupted.

    Every record's checksum is compared on the way.

    Args:
        plan: opened.
        partial: the build's working folder.
        quiet: no progress.

    Returns:
        the folder of the whole database, still under its working name, and its report.

    Raises:
        FoolCaffeError: a shard is not finished, of another plan, or damaged.
    """
    reports = []
    for number in range(plan.shards):
        found = shards.report(shard_folder(partial, number), plan, number)
        if found is None:
            raise FoolCaffeError(
                f"shard {number} of {plan.shards} is not finished", f"run: python -m foolcaffe.lmdb shard DB {number}"
            )
        first, end = plan.range(number)
        if (found["first"], found["end"]) != (first, end) or found["stored"] + len(found["rejected"]) != end - first:
            raise FoolCaffeError(f"the report of shard {number} does not account for its lines {first}..{end - 1}")
        reports.append(found)
    if plan.shards == 1:
        return shard_folder(partial, 0), {**reports[0], "asked": plan.request}
    folder = partial / "merged"
    values = Shape.of(plan.settings).value_bytes
    stored = sum(r["stored"] for r in reports)
    data = folder / "data.mdb"
    if data.exists() and data.stat().st_size < 2 * 4096:
        data.unlink()
    if not data.exists():
        check_space(partial, stored, values)
    with (
        Store(folder, plan.count, values) as store,
        Progress(stored, "records", "merge", quiet, len(store)) as progress,
    ):
        last = _last(store)
        for number, report in enumerate(reports):
            source = shard_folder(partial, number)
            if last and int(last[:8]) >= report["end"] - 1:
                continue
            for batch in _checked(source, report, last):
                if store.put(batch, len(batch), append=True):
                    store.commit()
                progress.advance(len(batch))
        store.finish()
        with (folder / "crc32").open("wb") as file:
            for number in range(plan.shards):
                file.write(
                    (shard_folder(partial, number) / "crc32")
                    .read_bytes()
                    .ljust(CRC_BYTES * reports[number]["lines"], b"\0")
                )
            file.flush()
            os.fsync(file.fileno())
        if len(store) != stored:
            raise FoolCaffeError(
                f"{folder} has {len(store)} records, the shards have {stored}", f"remove {folder} and merge again"
            )
    rejected = [row for r in reports for row in r["rejected"]]
    decoders = [r["decoders"] for r in reports if r["decoders"]]
    report = {
        "plan": plan.hash,
        "shard": 0,
        "first": 0,
        "end": plan.count,
        "lines": plan.count,
        "stored": stored,
        "digest": shards.digest_of(plan, 0, plan.count, folder / "crc32", {row["line"] for row in rejected}),
        "rejected": rejected,
        "warned": [row for r in reports for row in r["warned"]],
        "decoders": decoders[0] if decoders else {},
        "decoders_differ": any(d != decoders[0] for d in decoders),
        "hosts": sorted({r["host"] for r in reports}),
        "seconds": round(sum(r["seconds"] for r in reports), 3),
        "asked": plan.request,
    }
    write_json(folder / "report.json", report)
    return folder, report


def _last(store: Store) -> bytes:
    txn = store.read()
    try:
        cursor = txn.cursor()
        return bytes(cursor.key()) if cursor.last() else b""
    finally:
        txn.abort()


def _checked(source: Path, report: dict[str, Any], last: bytes) -> Iterator[list[tuple[bytes, memoryview]]]:
    """A shard's records after the key ``last``, in batches, their checksums compared."""
    checksums = np.fromfile(source / "crc32", "<u4")
    batch: list[tuple[bytes, memoryview]] = []
    reader = LmdbReader(source, allow_empty=True)
    if reader.count != report["stored"]:
        raise FoolCaffeError(
            f"{source} has {reader.count} records, its report says {report['stored']}",
            "it was changed after it was finished: remove it and make that shard again",
        )
    for key, value in reader.once(last):
        if key == last:
            continue
        if crc32(value) != checksums[int(key[:8]) - report["first"]]:
            raise FoolCaffeError(
                f"{source}: record {key!r} is damaged: wrong checksum",
                "the disk may be failing: remove that shard and make it again",
            )
        batch.append((key, value))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def publish(folder: Path, report: dict[str, Any], database: Path, partial: Path) -> None:
    """Give a whole database its name, in one rename; then remove the working folder.

    Beside ``data.mdb`` it has ``report.json``, ``bad_images.txt``, ``warnings.txt`` and ``crc32``: Caffe does not look.
    """
    write_table(folder / "bad_images.txt", report["rejected"])
    write_table(folder / "warnings.txt", report["warned"])
    write_json(folder / "report.json", report)
    (folder / JOURNAL).unlink(missing_ok=True)
    for name in ("data.mdb", "crc32", "bad_images.txt", "warnings.txt"):
        with (folder / name).open("rb+") as file:
            os.fsync(file.fileno())
    fsync_folder(folder)
    try:
        folder.rename(database)
    except OSError as error:
        raise FoolCaffeError(
            f"cannot give {database} its name: {error.strerror}", f"the finished database is {folder}"
        ) from None
    fsync_folder(database.parent)
    shutil.rmtree(partial, ignore_errors=True)


def published(database: Path) -> dict[str, Any] | None:
    """Return the report of a published database; None if no database is there, or it was not made by this program."""
    try:
        read: dict[str, Any] = json.loads((database / "report.json").read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return read
