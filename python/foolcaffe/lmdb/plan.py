"""What goes into a database and in which order, fixed before any image is read.

A plan is a folder: ``plan.json`` holds the request, ``items.bin`` has a row an image (line number, label,
locator, path), ``items.idx`` says where the row of each position starts: the position is the number in the record's
key. Workers, on this machine or others, read their rows there; memory does not grow with the number of images.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caffefiles import listfile
from caffefiles.files import fsync_folder, sha256, write_json
from foolcaffe.archives.locate import Locator, check_root
from foolcaffe.archives.sources import MAX_PIXELS, Archive
from foolcaffe.errors import FoolCaffeError

FORMAT = 2
"""Of unfinished builds; a finished database does not depend on it."""
ROW_ROOM = 4096
"""No row is longer: paths are at most a key long, reasons a line."""
_BLOCK = 4096


@dataclass(frozen=True)
class Settings:
    """What a record is made of. ``shuffle`` is a seed, or None for the list's order."""

    height: int = 64
    width: int = 64
    gray: bool = False
    resize: str = "linear"
    shuffle: int | None = None
    classes: int | None = None
    keep_duplicates: bool = False
    max_pixels: int = MAX_PIXELS

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.gray else 3


class Item(NamedTuple):
    """A row of a plan."""

    line: int
    label: int
    locator: bytes
    path: bytes


@dataclass
class Plan:
    """A plan on disk, opened."""

    folder: Path
    settings: Settings
    root: bytes
    archives: list[Archive]
    count: int
    rejected: int
    shards: int
    hash: str
    request: dict[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        # read, not mapped: pages of a map would count as memory of every process
        self._starts = os.open(self.folder / "items.idx", os.O_RDONLY | os.O_CLOEXEC)
        self._rows = os.open(self.folder / "items.bin", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the plan's files."""
        os.close(self._starts)
        os.close(self._rows)

    @property
    def staging(self) -> Path:
        """The folder of the batches that were laid out."""
        return self.folder

    def item(self, position: int) -> Item:
        """The row of a position, 0..count−1."""
        return self.items(position, 1)[0]

    def items(self, first: int, count: int) -> list[Item]:
        """The rows of ``count`` positions from ``first``."""
        starts = np.frombuffer(os.pread(self._starts, 8 * count, 8 * first), "<u8").tolist()
        found = []
        block, begin = b"", 0
        for start in starts:
            at = start - begin
            end = block.find(b"\n", at) if 0 <= at < len(block) else -1
            if end < 0:
                block, begin, at = os.pread(self._rows, ROW_ROOM, start), start, 0
                end = block.index(b"\n")
            line, label, locator, path = block[at:end].split(b"\t", 3)
            found.append(Item(int(line), int(label), locator, path))
        return found

    def range(self, shard: int) -> tuple[int, int]:
        """Positions [first, end) of a shard.

        Raises:
            FoolCaffeError: no such shard.
        """
        if not 0 <= shard < self.shards:
            raise FoolCaffeError(f"the plan has no shard {shard}", f"expected 0..{self.shards - 1}")
        return self.count * shard // self.shards, self.count * (shard + 1) // self.shards

    def bad_lines(self, limit: int) -> list[Item]:
        """The first rows that were rejected when the plan was made, at most ``limit``."""
        found: list[Item] = []
        for first in range(0, self.count if self.rejected else 0, 1024):
            found += [i for i in self.items(first, min(1024, self.count - first)) if i.locator.startswith(b"!")]
            if len(found) >= limit:
                break
        return found[:limit]


def request(root: str, listing: Path, settings: Settings, shards: int) -> dict[str, Any]:
    """Return the request that a plan answers: equal requests give equal plans while the files are the same."""
    if not listing.is_file():
        raise FoolCaffeError(f"no list at {listing}", "a list has a line an image: <path below ROOT> <class id>")
    return {
        "format": FORMAT,
        "root": os.fsdecode(check_root(root)),
        "list": str(listing.absolute()),
        "list_sha256": sha256(listing),
        "settings": asdict(settings),
        "shards": shards,
    }


def make(folder: Path, request: dict[str, Any]) -> Plan:
    """Make a plan in ``folder``; it is there whole or not at all.

    Args:
        folder: a folder of the plan's own, replaced.
        request: from :func:`request`.

    Raises:
        FoolCaffeError: no images in the list, fewer than shards; an archive that cannot be read.
    """
    settings = Settings(**request["settings"])
    aside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    listing = Path(request["list"])
    count = count_lines(listing)
    if not count:
        raise FoolCaffeError(f"{listing} lists no image", "a list has a line an image: <path below ROOT> <class id>")
    if count < request["shards"]:
        raise FoolCaffeError(f"{listing} has {count} lines, fewer than the {request['shards']} shards asked for")
    written = _write(aside, request, settings, count, {})
    repeated = {} if settings.keep_duplicates else listfile.repeated(listing, written.hashes)
    if repeated:
        written = _write(aside, request, settings, count, repeated)
    starts, digest, rejected, archives = written.starts, written.digest, written.rejected, written.archives
    if settings.shuffle is not None:
        # RandomState's streams are frozen (NEP 19): the same seed gives the same order with any NumPy
        starts = starts[np.random.RandomState(settings.shuffle).permutation(count)]
    starts.astype("<u8").tofile(aside / "items.idx")
    identity = {k: v for k, v in request.items() if k != "list"}
    digest.update(json.dumps(identity, sort_keys=True).encode())
    write_json(
        aside / "plan.json",
        {
            "hash": digest.hexdigest(),
            "count": count,
            "rejected": rejected,
            "asked": request,
            "archives": [list(a) for a in archives],
        },
    )
    fsync_folder(aside)
    shutil.rmtree(folder, ignore_errors=True)
    aside.replace(folder)
    fsync_folder(folder.parent)
    return load(folder)


def load(folder: Path) -> Plan:
    """Open a plan.

    Raises:
        FoolCaffeError: no whole plan there, or of another version.
    """
    try:
        read = json.loads((folder / "plan.json").read_text("utf-8"))
    except FileNotFoundError:
        raise FoolCaffeError(f"no plan at {folder}", "make one: python -m foolcaffe.lmdb plan ROOT LIST DB") from None
    request = read["asked"]
    if request["format"] != FORMAT:
        raise FoolCaffeError(
            f"{folder} is a plan of format {request['format']}, this program makes {FORMAT}",
            "begin again with --restart",
        )
    return Plan(
        folder,
        Settings(**request["settings"]),
        os.fsencode(request["root"]),
        [Archive(*a) for a in read["archives"]],
        read["count"],
        read["rejected"],
        request["shards"],
        read["hash"],
        request,
    )


def count_lines(listing: Path) -> int:
    """Lines of a list, with or without a line feed at its end."""
    lines, last = 0, b"\n"
    with listing.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            lines += block.count(b"\n")
            last = block[-1:]
    return lines + (last != b"\n")


class _Written(NamedTuple):
    starts: Any
    hashes: Any
    digest: Any
    rejected: int
    archives: list[Archive]


def _write(folder: Path, request: dict[str, Any], settings: Settings, count: int, repeated: dict[int, str]) -> _Written:
    """Write the rows, in the list's order. Keeps 16 bytes an image: where its row starts, and its path's hash."""
    starts: Any = np.zeros(count, np.uint64)
    hashes: Any = np.zeros(count, np.int64)
    digest = hashlib.sha256()
    rejected = at = 0
    with Locator(os.fsencode(request["root"]), folder) as locator, (folder / "items.bin").open("wb") as file:
        lines = listfile.read(Path(request["list"]), settings.classes)
        for first in range(0, count, _BLOCK):
            rows, paths = [], []
            for number, path, label, reason in islice(lines, _BLOCK):
                reason = reason or repeated.get(number, "")
                where = b"!" + reason.encode().replace(b"\t", b" ") if reason else locator.locate(path)
                rejected += where.startswith(b"!")
                rows.append(b"%d\t%d\t%s\t%s\n" % (number, label, where, path[: listfile.MAX_KEY]))
                paths.append(0 if reason else hash(path))
            sizes = np.cumsum([0, *map(len, rows)])
            starts[first : first + len(rows)] = at + sizes[:-1]
            hashes[first : first + len(rows)] = paths
            at += int(sizes[-1])
            block = b"".join(rows)
            file.write(block)
            digest.update(block)
        file.flush()
        os.fsync(file.fileno())
        return _Written(starts, hashes, digest, rejected, locator.archives)
