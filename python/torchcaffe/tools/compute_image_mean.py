"""``compute_image_mean``: the mean image of a database, as a binaryproto. Source: ``tools/compute_image_mean.cpp``.

The sum is a float32 in the database's order, so that past 2²⁴ it rounds as Caffe's does; then one division.
"""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffefiles.database import open_database
from caffefiles.mean import RunningMean, write_mean
from caffefiles.proto import caffe_pb2
from torchcaffe import log
from torchcaffe.data.datum import read_datum
from torchcaffe.tools import flags
from torchcaffe.tools.program import CheckError, run

USAGE = """compute_image_mean: Compute the mean_image of a set of images given by a leveldb/lmdb
Usage:
    compute_image_mean [FLAGS] INPUT_DB [OUTPUT_FILE]
"""
FLAGS = (flags.Flag("backend", "lmdb", "The backend {leveldb, lmdb} containing the images"),)
BACKENDS = {"lmdb": caffe_pb2.DataParameter.LMDB, "leveldb": caffe_pb2.DataParameter.LEVELDB}
REPORT_EVERY = 10000


def mean_image(database: str, backend: str = "lmdb") -> NDArray[np.float32]:
    """The mean of all records, channels × height × width.

    Raises:
        CaffeError: the database cannot be read, or its records differ in size.
    """
    reader = open_database(database, BACKENDS[backend])
    log.info("db_lmdb.cpp:35" if backend == "lmdb" else "db_leveldb.cpp:18", "Opened %s %s", backend, database)
    mean = RunningMean()
    for key, value in reader.once():
        if not mean.count:
            log.info("compute_image_mean.cpp:70", "Starting iteration")
        record = read_datum(value, key, database)
        if not mean.add(record.pixels):
            size = record.pixels.size
            raise CheckError(
                "compute_image_mean.cpp:78",
                f"size_in_datum == data_size ({size} vs. {prod(mean.shape)}) Incorrect data field size {size}: "
                f"record {record.key!r} of {database!r}",
            )
        if mean.count % REPORT_EVERY == 0:
            log.info("compute_image_mean.cpp:96", "Processed %d files.", mean.count)
    if mean.count % REPORT_EVERY:
        log.info("compute_image_mean.cpp:101", "Processed %d files.", mean.count)
    return mean.result(database)


def compute(values: dict[str, Any], database: str, output: str = "") -> int:
    """Compute, write, say each channel's mean; the exit code.

    Raises:
        CaffeError: the database is wrong or the file cannot be written.
    """
    if values["backend"] not in BACKENDS:
        raise CheckError("db.cpp:36", f"Unknown database backend {values['backend']!r} (known: {', '.join(BACKENDS)})")
    mean = mean_image(database, values["backend"])
    channels, height, width = mean.shape
    if output:
        log.info("compute_image_mean.cpp:108", "Write to %s", output)
        write_mean(output, mean)
    log.info("compute_image_mean.cpp:114", "Number of channels: %d", channels)
    for c in range(channels):
        # added one after the other in float32, as there
        value = np.cumsum(mean[c], dtype=np.float32)[-1] / np.float32(height * width)
        log.info("compute_image_mean.cpp:119", "mean_value channel [%d]: %g", c, value)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Parse, compute; the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    values, rest = flags.read(USAGE, FLAGS, given, "compute_image_mean")
    if not 1 <= len(rest) <= 2:
        sys.stderr.write(flags.usage(USAGE, FLAGS))
        return 1
    return run("compute_image_mean.cpp", lambda: compute(values, *rest))


if __name__ == "__main__":
    sys.exit(main())
