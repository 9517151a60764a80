"""The mean image of a database, as ``compute_image_mean`` computes it."""

from __future__ import annotations

from caffefiles.datum import DatumLMDB
from caffefiles.files import PathLike
from caffefiles.mean import RunningMean
from caffefiles.mean import write_mean as write_blob
from foolcaffe.errors import FoolCaffeError
from foolcaffe.progress import Progress


def write_mean(file: PathLike, database: PathLike, quiet: bool = False) -> None:
    """Write the mean of an LMDB of raw Datums of one shape as a ``mean.binaryproto``.

    Raises:
        FoolCaffeError: if it is empty or damaged, or its records are encoded or of several shapes.
    """
    mean = RunningMean()
    with DatumLMDB(database) as records, Progress(len(records), "records", "mean", quiet) as progress:
        for record in records:
            if not mean.add(record.pixels) or record.pixels.shape != mean.shape:
                raise FoolCaffeError(
                    f"{database}: record {record.key!r} is {record.pixels.shape}, those before it {mean.shape}",
                    "a mean needs records of one size: build the database with one",
                )
            progress.advance()
    write_blob(file, mean.result(str(database)))
