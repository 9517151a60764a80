"""``convert_imageset``: an LMDB or LevelDB of Datums from a list of images. Source: ``tools/convert_imageset.cpp``.

Keys, values and commits are real Caffe's: key ``%08d_<path>`` by line, so that an unreadable image leaves a gap; it is
said and skipped. Differs from Caffe in: a full disk or a list that is not there is an error.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Iterator
from typing import Any

from caffefiles.prototxt import read_bytes
from torchcaffe import log
from torchcaffe.rng import Generator
from torchcaffe.tools import flags
from torchcaffe.tools.images import image_datum
from torchcaffe.tools.program import CheckError, run
from torchcaffe.tools.writers import WRITERS

USAGE = """convert_imageset: Convert a set of images to the lmdb/leveldb format used as input for Caffe.
Usage:
    convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME"""

FLAGS = (
    flags.Flag("gray", False, "When this option is on, treat images as grayscale ones"),
    flags.Flag("shuffle", False, "Randomly shuffle the order of images and their labels"),
    flags.Flag("backend", "lmdb", "The backend {lmdb, leveldb} for storing the result"),
    flags.Flag("resize_width", 0, "Width images are resized to"),
    flags.Flag("resize_height", 0, "Height images are resized to"),
    flags.Flag("check_size", False, "When this option is on, check that all the datum have the same size"),
    flags.Flag("encoded", False, "When this option is on, the encoded image will be save in datum"),
    flags.Flag("encode_type", "", "Optional: What type should we encode the image as ('png','jpg',...)."),
)


def convert(values: dict[str, Any], root: str, listing: str, database: str) -> int:
    """Build the database; the exit code.

    Raises:
        CaffeError: the list cannot be read, or the database is there already or cannot be written.
    """
    lines = read_list(listing)
    if values["shuffle"]:
        log.info("convert_imageset.cpp:86", "Shuffling data")
        lines = shuffled(lines, secrets.randbits(32))
    log.info("convert_imageset.cpp:89", "A total of %d images.", len(lines))
    if values["encode_type"] and not values["encoded"]:
        log.info("convert_imageset.cpp:92", "encode_type specified, assuming encoded=true.")
    if values["backend"] not in WRITERS:
        raise CheckError("db.cpp:36", f"Unknown database backend {values['backend']!r} (known: {', '.join(WRITERS)})")
    with WRITERS[values["backend"]](database) as writer:
        for number, datum in _datums(values, root, lines):
            key = b"%08d_" % number + lines[number][0]
            writer.put(key, datum.SerializeToString(deterministic=True))
    return 0


def read_list(path: str) -> list[tuple[bytes, int]]:
    """Path and label of each line: what is before the last space, and what C's atoi reads after it.

    Raises:
        CaffeError: the file cannot be read.
    """
    lines = read_bytes(path).split(b"\n")
    if not lines[-1]:
        lines.pop()  # std::getline sees no line after the last newline
    found = []
    for line in lines:
        name, _, label = line.rpartition(b" ")
        found.append((name if b" " in line else line, _atoi(label)))
    return found


def _atoi(text: bytes) -> int:
    match = re.match(rb"[ \t\n\v\f\r]*([-+]?\d+)", text)
    number = int(match.group(1)) if match else 0
    number = min(max(number, -(1 << 63)), (1 << 63) - 1)  # glibc's strtol, whose result is then cut to an int
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def shuffled(lines: list[tuple[bytes, int]], seed: int) -> list[tuple[bytes, int]]:
    """The lines in random order (Caffe's is unseeded too)."""
    generator, result = Generator(seed), list(lines)
    for i in range(len(result) - 1, 0, -1):
        j = generator.draw() % (i + 1)
        result[i], result[j] = result[j], result[i]
    return result


def _datums(values: dict[str, Any], root: str, lines: list[tuple[bytes, int]]) -> Iterator[tuple[int, Any]]:
    size: int | None = None
    height, width = max(0, values["resize_height"]), max(0, values["resize_width"])
    for number, (raw, label) in enumerate(lines):
        name = raw.decode("utf-8", "surrogateescape")
        encoding = values["encode_type"]
        if values["encoded"] and not encoding:
            if "." not in name:
                log.log.warning("Failed to guess the encoding of '%s'", name, extra={"at": "convert_imageset.cpp:116"})
            encoding = name[name.rfind(".") + 1 :].lower()
        datum = image_datum(root + name, label, height, width, not values["gray"], encoding)
        if datum is None:
            continue
        if values["check_size"]:
            expected = datum.channels * datum.height * datum.width if size is None else size
            if size is not None and len(datum.data) != size:
                raise CheckError(
                    "convert_imageset.cpp:131",
                    f"data.size() == data_size ({len(datum.data)} vs. {size}) Incorrect data field size "
                    f"{len(datum.data)}: {name}",
                )
            size = expected
        yield number, datum


def main(arguments: list[str] | None = None) -> int:
    """Parse, convert; the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    values, rest = flags.read(USAGE, FLAGS, given, "convert_imageset")
    if len(rest) < 3:
        sys.stderr.write(flags.usage(USAGE, FLAGS))
        return 1
    return run("convert_imageset.cpp", lambda: convert(values, *rest[:3]))


if __name__ == "__main__":
    sys.exit(main())
