"""The mean image: Caffe's ``mean.binaryproto``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from caffefiles.errors import CaffeError
from caffefiles.protos import blob_shape, read_binary


def read_mean(path: Path) -> npt.NDArray[np.float32]:
    """The mean as float32, channels × height × width, BGR, grey levels.

    Raises:
        CaffeError: not there, no BlobProto, or of another size than it says.
    """
    blob = read_binary(path, "BlobProto", "mean image", "`make lmdb` computes one")
    shape = blob_shape(blob)
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    data = np.array(blob.data, np.float32)
    if len(shape) != 3 or data.size == 0 or data.size != np.prod(shape):
        raise CaffeError(
            f"{path} is no mean image: {data.size} values, shape {' × '.join(map(str, shape))}",
            "expected channels × height × width",
        )
    if not np.isfinite(data).all():
        raise CaffeError(f"{path} holds values that are not finite")
    return data.reshape(shape)
