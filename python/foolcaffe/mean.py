"""The mean image: Caffe's ``mean.binaryproto``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from foolcaffe.engine import caffe
from foolcaffe.errors import FoolCaffeError


def read_mean(path: Path) -> npt.NDArray[np.float32]:
    """The mean as float32, channels × height × width, BGR, grey levels.

    Raises:
        FoolCaffeError: not there, no BlobProto, or of another size than it says.
    """
    blob = caffe.proto.caffe_pb2.BlobProto()
    try:
        blob.ParseFromString(path.read_bytes())
    except FileNotFoundError:
        raise FoolCaffeError(f"no mean at {path}", "`make lmdb` computes it") from None
    except OSError:
        raise
    except Exception as error:  # protobuf's DecodeError; its class differs between protobuf's versions
        raise FoolCaffeError(f"{path} is no mean (a serialised BlobProto): {error}") from None
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    data = np.array(blob.data, np.float32)
    if len(shape) != 3 or data.size == 0 or data.size != np.prod(shape):
        raise FoolCaffeError(
            f"{path} is no mean image: {data.size} values, shape {' × '.join(map(str, shape))}",
            "expected channels × height × width",
        )
    if not np.isfinite(data).all():
        raise FoolCaffeError(f"{path} holds values that are not finite")
    return data.reshape(shape)
