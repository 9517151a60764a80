"""Any LMDB of raw Datums, checked record by record, and compared with the list that it was made of."""

from __future__ import annotations

import hashlib
import json
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from caffefiles import datum, listfile
from foolcaffe.engine import child_environment
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb.pool import deaf_to_interrupts
from foolcaffe.lmdb.reader import Reader
from foolcaffe.lmdb.shard import Digest
from foolcaffe.lmdb.slots import for_digest
from foolcaffe.progress import Progress

SHOWN = 10


@dataclass
class Findings:
    """What :func:`validate` found. ``wrong`` is empty if all is well."""

    records: int = 0
    sha256: str = ""
    checked: bool = False
    wrong: list[str] = field(default_factory=list)


def validate(
    database: Path,
    listing: Path | None = None,
    size: tuple[int, int] | None = None,
    classes: int | None = None,
    quiet: bool = False,
) -> Findings:
    """Check every record of any LMDB of raw Datums: shape, label, checksum if there is one, line if there is a list.

    LMDB trusts its pages, and a damaged one may end the process: it is read in another one.

    Args:
        database: its folder; made here or by ``convert_imageset``.
        listing: the list it was made of, in the order of storing (a shuffled database of ours carries its seed).
        size: expected (height, width); else that of the first record.
        classes: if given, labels must be below it.
        quiet: no progress.

    Raises:
        FoolCaffeError: the database or the list cannot be read at all.
    """
    asked = [str(database), listing and str(listing), size, classes, quiet]
    command = [sys.executable, "-m", "foolcaffe.lmdb.validate", json.dumps(asked)]
    with deaf_to_interrupts():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=child_environment())
    try:
        told = process.communicate()[0]
    finally:
        process.kill()
        process.wait()
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        return Findings(wrong=[f"a page is damaged: reading the records ended in {name}; build it again"])
    if process.returncode:
        raise FoolCaffeError(f"{database} was not read to its end", "the reason is above")
    said = json.loads(told)
    if "message" in said:
        raise FoolCaffeError(said["message"], said["hint"])
    return Findings(**said)


def main(asked: str) -> None:
    """The other process: a line of JSON for what was found, or for the error."""
    database, listing, size, classes, quiet = json.loads(asked)
    try:
        found = _validate(Path(database), Path(listing) if listing else None, size, classes, quiet)
        print(json.dumps(asdict(found)))
    except FoolCaffeError as error:
        print(json.dumps({"message": error.message, "hint": error.hint}))


def _validate(
    database: Path, listing: Path | None, size: tuple[int, int] | None, classes: int | None, quiet: bool
) -> Findings:
    report = _report(database)
    checksums = np.fromfile(database / "crc32", "<u4") if (database / "crc32").exists() else None
    lines = _expected(listing, report, classes) if listing is not None else None
    rejected = {row["line"] for row in report.get("rejected", [])}
    bad = _bad_paths(database) if not report else set()
    found = Findings(checked=checksums is not None)
    total, digest = hashlib.sha256(), Digest(True)
    shape: tuple[int, ...] | None = None
    missing: deque[str] = deque(maxlen=SHOWN)
    lacking = 0
    with Reader(database) as reader, Progress(len(reader), "records", "validate", quiet) as progress:
        for key, value in reader.items():
            name = f"record {listfile.show(key)}"
            total.update(struct.pack("<I", len(key)) + key + struct.pack("<Q", len(value)))
            total.update(value)
            checksum = datum.crc32(value)
            digest.add(for_digest(key, checksum))
            try:
                record = datum.parse(value)
                pixels = record.pixels
            except FoolCaffeError as error:
                found.wrong.append(f"{name}: {error.message}")
                continue
            shape = shape or (pixels.shape if size is None else (pixels.shape[0], *size))
            if pixels.shape != shape:
                found.wrong.append(f"{name} is {' × '.join(map(str, pixels.shape))}, not {' × '.join(map(str, shape))}")
            if record.label < 0 or (classes is not None and record.label >= classes):
                found.wrong.append(f"{name} has label {record.label}, expected 0..{classes - 1 if classes else '…'}")
            if checksums is not None:
                position = int(key[:8]) if key[:8].isdigit() else len(checksums)
                if position >= len(checksums) or checksum != checksums[position]:
                    found.wrong.append(f"{name} is damaged: wrong checksum")
            if lines is not None:
                for line in lines:
                    wanted = listfile.key(line[0], line[2])
                    if wanted == key:
                        if line[3] != record.label:
                            found.wrong.append(f"{name} has label {record.label}, line {line[1]} says {line[3]}")
                        break
                    if line[1] not in rejected and line[2] not in bad:
                        lacking += 1
                        missing.append(f"line {line[1]} ({listfile.show(line[2])}) is neither stored nor named as bad")
                else:
                    found.wrong.append(f"{name} is not in {listing}")
            found.records += 1
            progress.advance()
    for line in lines or ():
        if line[1] not in rejected and line[2] not in bad:
            lacking += 1
            missing.append(f"line {line[1]} ({listfile.show(line[2])}) is neither stored nor named as bad")
    if lacking:
        found.wrong += [*missing, f"{lacking} lines in all are neither stored nor named as bad"]
    if not found.records:
        found.wrong.append("there is no record")
    if report and found.records != report["stored"]:
        found.wrong.append(f"there are {found.records} records, report.json says {report['stored']}")
    elif report and digest.hex != report["digest"]:
        found.wrong.append("the digest of the records is not that of report.json: a key or a value has changed")
    found.sha256 = total.hexdigest()
    return found


def _bad_paths(database: Path) -> set[bytes]:
    """What was left out on purpose of a database without a report: the paths in its ``bad_images.txt``."""
    table = database / "bad_images.txt"
    return {line.split(b"\t")[0] for line in table.read_bytes().splitlines()} if table.exists() else set()


def _report(database: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads((database / "report.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise FoolCaffeError(f"{database}/report.json is damaged: {error}") from None
    return read


def _expected(listing: Path, report: dict[str, Any], classes: int | None) -> Iterator[tuple[int, int, bytes, int]]:
    """(position, line, path, label) in key order."""
    seed = report.get("asked", {}).get("settings", {}).get("shuffle")
    if seed is None:
        for line in listfile.read(listing, classes):
            yield line.number - 1, line.number, line.path, line.label
        return
    lines = list(listfile.read(listing, classes))
    order = np.random.RandomState(seed).permutation(len(lines))
    for position, index in enumerate(order.tolist()):
        yield position, lines[index].number, lines[index].path, lines[index].label


if __name__ == "__main__":
    main(sys.argv[1])
