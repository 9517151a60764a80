"""Image files and Datums as Caffe's tools make them. Source: ``util/io.cpp``.

Decoded by OpenCV, as there; its resize is bilinear without antialiasing, and squashes the aspect.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffefiles.errors import CaffeError, optional
from caffefiles.proto import caffe_pb2
from torchcaffe import log

cv2 = optional("cv2", "decoding images", "opencv-python-headless")

_NO_EXIF = (b"\x89PNG", b"BM")
"""Files that Caffe's OpenCV 4.5 looks for no rotation in; a later one does."""


def read_image(path: str, height: int = 0, width: int = 0, color: bool = True) -> NDArray[np.uint8] | None:
    """An image's pixels, height × width × 3 (B, G, R) or height × width if not ``color``; None if it cannot be read.

    Args:
        path: of the file.
        height: of the result; 0 keeps the image's own size.
        width: of the result; 0 keeps the image's own size.
        color: three channels, of a grey image too; else one.
    """
    flags = cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE
    try:
        with Path(path).open("rb") as file:
            if file.read(4).startswith(_NO_EXIF):
                flags |= cv2.IMREAD_IGNORE_ORIENTATION
        # imdecode refuses a JPEG that is cut short; this fills the rest with grey, as there
        pixels: Any = cv2.imread(path, flags)
    except (OSError, ValueError, cv2.error):
        pixels = None
    if pixels is None:
        log.error("io.cpp:83", "Could not open or find file %s", path)
        return None
    if height > 0 and width > 0:
        pixels = cv2.resize(pixels, (width, height))
    return np.asarray(pixels)


def image_datum(path: str, label: int, height: int, width: int, color: bool, encoding: str) -> Any:
    """A file's Datum: planes of bytes, or with an ``encoding`` (``jpg``, say) a file; None if it is unreadable.

    A file that has the encoding already, and is not to be resized, is stored as it is.

    Raises:
        CaffeError: OpenCV cannot encode so.
    """
    pixels = read_image(path, height, width, color)
    if pixels is None:
        return None
    if not encoding:
        planes = pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
        channels, rows, columns = planes.shape
        return caffe_pb2.Datum(
            channels=channels, height=rows, width=columns, data=planes.tobytes(), label=label, encoded=False
        )
    if (pixels.ndim == 3) == color and not height and not width and _has_extension(path, encoding):
        return caffe_pb2.Datum(data=Path(path).read_bytes(), label=label, encoded=True)
    try:
        done, data = cv2.imencode(f".{encoding}", pixels)
    except cv2.error:
        done, data = False, np.empty(0, np.uint8)
    if not done:
        raise CaffeError(f"OpenCV cannot encode {path!r} as {encoding!r}", "give --encode_type jpg or png")
    return caffe_pb2.Datum(data=data.tobytes(), label=label, encoded=True)


def _has_extension(path: str, encoding: str) -> bool:
    extension = path[path.rfind(".") + 1 :].lower()
    return extension == encoding.lower() or (encoding.lower() == "jpg" and extension == "jpeg")
