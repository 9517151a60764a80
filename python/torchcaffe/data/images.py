"""Images as Caffe decodes and resizes them: by OpenCV. Source: ``util/io.cpp``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffefiles.errors import CaffeError, optional


def _cv2() -> Any:
    cv2 = optional("cv2", "decoding images", "opencv-python-headless")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong is said by our own error
    return cv2


def decode(data: bytes, where: str, color: bool | None = None) -> NDArray[np.uint8]:
    """An encoded image's pixels, channels × height × width, B, G, R.

    Args:
        data: the file's bytes.
        where: what they are, for the error.
        color: three channels, one, or (None) those that the file has, unrotated.

    Raises:
        CaffeError: it cannot be decoded, or has other than eight bits a channel.
    """
    cv2 = _cv2()
    flag = {None: cv2.IMREAD_UNCHANGED, True: cv2.IMREAD_COLOR, False: cv2.IMREAD_GRAYSCALE}[color]
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    except cv2.error as error:
        raise CaffeError(f"{where} cannot be decoded: {error.err}", "convert it again") from None
    return _planes(image, where)


def read(path: str, height: int = 0, width: int = 0, color: bool = True) -> NDArray[np.uint8]:
    """An image file's pixels, channels × height × width, B, G, R, rotated as its EXIF says.

    Args:
        path: the file.
        height: to resize to, bilinearly without smoothing, if it and ``width`` are positive.
        width: see ``height``.
        color: three channels, or one.

    Raises:
        CaffeError: it is not there, or no image.
    """
    cv2 = _cv2()
    flag = cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE
    try:
        image = cv2.imread(path, flag)
        if image is not None and height > 0 and width > 0:
            image = cv2.resize(image, (width, height))
    except cv2.error as error:
        raise CaffeError(f"the image {path!r} cannot be decoded: {error.err}") from None
    return _planes(image, f"the image {path!r}")


def cut_and_warp(
    pixels: NDArray[np.uint8], corners: tuple[int, int, int, int], height: int, width: int
) -> NDArray[np.uint8]:
    """A part of an image, resized bilinearly without smoothing.

    Args:
        pixels: channels × rows × columns.
        corners: x1, y1, x2, y2 of the part, ends included, inside the image.
        height: of the result.
        width: of the result.

    Returns:
        channels × height × width.
    """
    x1, y1, x2, y2 = corners
    part = np.ascontiguousarray(pixels[:, y1 : y2 + 1, x1 : x2 + 1].transpose(1, 2, 0))
    return _planes(_cv2().resize(part, (width, height)), "the part")


def _planes(image: Any, where: str) -> NDArray[np.uint8]:
    if image is None:
        raise CaffeError(f"{where} cannot be decoded", "it is missing, damaged, or no image that OpenCV knows")
    if image.dtype != np.uint8:
        raise CaffeError(f"{where} has pixels of type {image.dtype}", "eight bits a channel were expected")
    return np.ascontiguousarray(image[None] if image.ndim == 2 else image.transpose(2, 0, 1))
