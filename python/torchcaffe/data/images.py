"""Images as Caffe decodes and resizes them: by OpenCV. Source: ``util/io.cpp``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foolcaffe.errors import FoolCaffeError


def _cv2() -> Any:
    try:
        import cv2
    except ImportError:
        raise FoolCaffeError(
            "decoding images needs OpenCV, which is not installed", "pip install opencv-python-headless"
        ) from None
    cv2.setLogLevel(0) if hasattr(cv2, "setLogLevel") else None  # what is wrong is said by our own error
    return cv2


def decode(data: bytes, where: str, color: bool | None = None) -> NDArray[np.uint8]:
    """An encoded image's pixels, channels × height × width, B, G, R.

    Args:
        data: the file's bytes.
        where: what they are, for the error.
        color: three channels, one, or (None) those that the file has, unrotated.

    Raises:
        FoolCaffeError: it cannot be decoded, or has other than eight bits a channel.
    """
    cv2 = _cv2()
    flag = {None: cv2.IMREAD_UNCHANGED, True: cv2.IMREAD_COLOR, False: cv2.IMREAD_GRAYSCALE}[color]
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    except cv2.error as error:
        raise FoolCaffeError(f"{where} cannot be decoded: {error.err}", "convert it again") from None
    return _planes(image, where)


def read(path: str, height: int = 0, width: int = 0, color: bool = True) -> NDArray[np.uint8]:
    """An image file's pixels, channels × height × width, B, G, R, rotated as its EXIF says.

    Args:
        path: the file.
        height: to resize to, bilinearly without smoothing, if it and ``width`` are positive.
        width: see ``height``.
        color: three channels, or one.

    Raises:
        FoolCaffeError: it is not there, or no image.
    """
    cv2 = _cv2()
    flag = cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE
    try:
        image = cv2.imread(path, flag)
        if image is not None and height > 0 and width > 0:
            image = cv2.resize(image, (width, height))
    except cv2.error as error:
        raise FoolCaffeError(f"the image {path!r} cannot be decoded: {error.err}") from None
    return _planes(image, f"the image {path!r}")


def _planes(image: Any, where: str) -> NDArray[np.uint8]:
    if image is None:
        raise FoolCaffeError(f"{where} cannot be decoded", "it is missing, damaged, or no image that OpenCV knows")
    if image.dtype != np.uint8:
        raise FoolCaffeError(f"{where} has pixels of type {image.dtype}", "eight bits a channel were expected")
    return np.ascontiguousarray(image[None] if image.ndim == 2 else image.transpose(2, 0, 1))
