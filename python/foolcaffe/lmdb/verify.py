"""Records read back and compared with the plan, a range of positions at a time, so that workers can share the work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from caffefiles import listfile
from caffefiles.lmdb_reader import LmdbReader
from foolcaffe.lmdb.journal import CRC_BYTES
from foolcaffe.lmdb.plan import Plan
from foolcaffe.lmdb.slots import crc32, head, tail


class Verifier:
    """Compares a database with its plan: each position is a record of its key, shape, label and checksum, or rejected.

    Args:
        folder: of the database; its ``report.json`` says which lines were rejected.
        plan: opened.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        settings = plan.settings
        self._folder = folder
        self._plan = plan
        report = json.loads((folder / "report.json").read_text("utf-8"))
        self._rejected = {row["line"] for row in report["rejected"]}
        self._head = head(settings.channels, settings.height, settings.width)
        self._size = len(self._head) + settings.channels * settings.height * settings.width

    def check(self, first: int, count: int) -> list[str]:
        """What is wrong with positions [first, first + count), and with whatever lies between them and the next.

        Raises:
            FoolCaffeError: the database cannot be read there.
        """
        before, size, rejected = self._head, self._size, self._rejected
        wrong: list[str] = []
        end = b"%08d" % (first + count)
        last = first + count == self._plan.count
        checksums = np.fromfile(self._folder / "crc32", "<u4", count, offset=CRC_BYTES * first).tolist()
        checksums += [-1] * (count - len(checksums))
        records = LmdbReader(self._folder).once(b"%08d" % first if first else b"")
        for position, item in enumerate(self._plan.items(first, count), first):
            if item.line in rejected:
                continue
            key = listfile.key(position, item.path)
            found = next(records, None)
            if found is None or found[0] != key:
                return [*wrong, f"record {listfile.show(key)} is missing"]
            value, after = found[1], tail(item.label)
            # bytes: memoryviews are compared one element at a time
            if len(value) != size + len(after) or bytes(value[: len(before)]) != before or bytes(value[size:]) != after:
                wrong.append(f"record {listfile.show(key)} does not have the size or the label that the plan says")
            elif crc32(value) != checksums[position - first]:
                wrong.append(f"record {listfile.show(key)} is damaged: wrong checksum")
        more = next(records, None)
        if more is not None and (last or more[0] < end):
            wrong.append(f"record {listfile.show(more[0])} is not in the plan")
        return wrong
