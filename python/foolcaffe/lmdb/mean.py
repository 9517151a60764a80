"""The mean image of a database, as ``compute_image_mean`` computes it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from caffefiles.datum import DatumLMDB
from caffefiles.files import PathLike
from caffefiles.mean import RunningMean
from foolcaffe.errors import FoolCaffeError
from foolcaffe.progress import Progress


def mean_of(database: PathLike, quiet: bool = False) -> npt.NDArray[np.float32]:
    """Return the mean, channels × height × width, of an LMDB of raw Datums of one shape.

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
    return mean.result(str(database))
