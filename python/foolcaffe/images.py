"""Images: reading any file, sizes, and the one place where RGB meets Caffe's BGR.

Range and channel order travel with the data as a type: :class:`Rgb8` is what files and figures hold,
:class:`BgrPixels` what a Caffe net is fed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError
from skimage.transform import resize as skimage_resize

from caffefiles.files import PathLike, atomic_path
from foolcaffe.errors import FoolCaffeError

MAX_PIXELS = 178_956_970
"""Larger images are refused before decoding (Pillow's own limit for a decompression bomb)."""


@dataclass(frozen=True)
class Rgb8:
    """An image as files hold it: ``array`` is uint8, height × width × 3, RGB, 0..255."""

    array: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        a = self.array
        if a.dtype != np.uint8 or a.ndim != 3 or a.shape[2] != 3 or 0 in a.shape:
            raise ValueError(f"Rgb8 is uint8 height × width × 3, not {a.dtype} {a.shape}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.array.shape[0], self.array.shape[1]

    def to_bgr(self) -> BgrPixels:
        """The same pixels for Caffe."""
        return BgrPixels(np.ascontiguousarray(self.array[:, :, ::-1].transpose(2, 0, 1)).astype(np.float32))


@dataclass(frozen=True)
class BgrPixels:
    """An image as Caffe sees it: ``array`` is float32, 3 × height × width, BGR, 0..255, no mean subtracted."""

    array: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        a = self.array
        if a.dtype != np.float32 or a.ndim != 3 or a.shape[0] != 3:
            raise ValueError(f"BgrPixels is float32 3 × height × width, not {a.dtype} {a.shape}")

    def clipped(self) -> BgrPixels:
        """Clipped to the pixel box 0..255."""
        return BgrPixels(np.clip(self.array, 0, 255))

    def to_rgb8(self) -> Rgb8:
        """Clipped to 0..255, rounded to whole grey levels (half to even), in RGB order."""
        levels = np.rint(np.clip(self.array, 0, 255)).astype(np.uint8)
        return Rgb8(np.ascontiguousarray(levels.transpose(1, 2, 0)[:, :, ::-1]))


def read_image(path: PathLike) -> Rgb8:
    """Read an image file of any common kind as RGB.

    EXIF rotation is applied, grey and palette images become RGB, CMYK is converted, alpha is laid over white, 16-bit
    is scaled to 8 bits (v/257), of an animation the first frame is taken.

    Raises:
        FoolCaffeError: not there, empty, no image, truncated, or of absurd size.
    """
    path = Path(path)
    if path.is_dir():
        raise FoolCaffeError(f"{path} is a folder, an image file was expected")
    if not path.exists():
        raise FoolCaffeError(f"no image at {path}")
    if path.stat().st_size == 0:
        raise FoolCaffeError(f"{path} is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a broken EXIF block is no reason to refuse the picture
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise FoolCaffeError(f"{path} is {image.width} × {image.height} pixels: too large to be decoded")
                image.load()
                return Rgb8(_to_rgb(ImageOps.exif_transpose(image)))
    except UnidentifiedImageError:
        raise FoolCaffeError(
            f"{path} is no image that can be read", "expected: JPEG, PNG, GIF, BMP, TIFF, WebP"
        ) from None
    except (Image.DecompressionBombError, SyntaxError, ValueError, EOFError, OverflowError) as error:
        raise FoolCaffeError(f"{path} cannot be decoded: {error}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise FoolCaffeError(f"{path} cannot be decoded: {error}") from None


def _to_rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        grey = np.asarray(image).astype(np.float64)
        scale = 257.0 if grey.max() > 255 or image.mode.startswith("I;16") else 1.0
        grey8 = np.rint(np.clip(grey / scale, 0, 255)).astype(np.uint8)
        return np.repeat(grey8[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(image.convert("RGB"))


def resize(image: Rgb8, height: int, width: int) -> Rgb8:
    """Resize as ``convert_imageset --resize_height --resize_width`` does: aspect squashed, bilinear, no antialiasing.

    OpenCV's INTER_LINEAR samples at pixel centres, as this does; the results agree to a grey level.
    """
    if image.size == (height, width):
        return image
    out = skimage_resize(image.array, (height, width), order=1, mode="edge", anti_aliasing=False, preserve_range=True)
    return Rgb8(np.rint(np.clip(out, 0, 255)).astype(np.uint8))


def noise(height: int, width: int, seed: int) -> Rgb8:
    """Uniform noise: every value of every channel drawn from 0..255."""
    return Rgb8(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def write_png(path: PathLike, image: Rgb8) -> None:
    """Write an 8-bit RGB PNG atomically. PNG is lossless: :func:`read_image` gives the same pixels back."""
    with atomic_path(path) as temporary:
        Image.fromarray(image.array).save(temporary, format="PNG")
