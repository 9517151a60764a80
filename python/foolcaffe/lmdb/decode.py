"""An image file's bytes → pixels, as ``convert_imageset`` sees them, or the reason why not.

Plain JPEGs go through simplejpeg, which says what libjpeg-turbo warns of; everything else (and rotated, CMYK and other
rare JPEGs) through OpenCV's ``imdecode``, which is what ``imread`` does in Caffe. Dimensions are read from the header
before anything is decoded. See docs/decisions/lmdb-decoder.md for the measurements.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from foolcaffe.archives.sources import MAX_PIXELS, BadImage

_TRUNCATED = "Premature end of JPEG file"
_EXIF = b"Exif\0\0"
_PNG = b"\x89PNG\r\n\x1a\n"
_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"RIFF", "a WebP"),
    (b"<", "text (HTML, XML or SVG)"),
    (b"\0\0\0\x0cjP", "a JPEG 2000"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PK\3\4", "a zip archive"),
)

cv2.setNumThreads(0)  # the workers are the parallelism
if hasattr(cv2, "ipp"):
    cv2.ipp.setUseIPP(False)  # one road on all machines; it is not slower here


@dataclass(frozen=True)
class Decoder:
    """What a record is to be: ``height`` × ``width``, 3 channels of BGR or, with ``gray``, 1.

    ``area`` averages over the pixels that fall into one (antialiased), where Caffe's resize takes the nearest four.
    """

    height: int
    width: int
    gray: bool = False
    area: bool = False
    max_pixels: int = MAX_PIXELS

    def decode(self, data: bytes) -> tuple[npt.NDArray[np.uint8], str]:
        """Decode and resize.

        Returns:
            height × width × 3 (or height × width if ``gray``), and libjpeg's warning, if any, of an image that was
            decoded nevertheless and to the same pixels as ``convert_imageset``.

        Raises:
            BadImage: with the reason.
        """
        if data[:2] == b"\xff\xd8":
            pixels, warning = self._jpeg(data)
        else:
            warning = ""
            self._check_other(data)
            # Caffe's OpenCV knows of no EXIF in a PNG
            pixels = self._opencv(data, cv2.IMREAD_IGNORE_ORIENTATION)
        return self.resize(pixels), warning

    def resize(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """To ``height`` × ``width``, the aspect squashed, as Caffe does."""
        if pixels.shape[:2] == (self.height, self.width):
            return pixels
        shrinks = pixels.shape[0] >= self.height and pixels.shape[1] >= self.width
        how = cv2.INTER_AREA if self.area and shrinks else cv2.INTER_LINEAR
        resized: npt.NDArray[np.uint8] = cv2.resize(pixels, (self.width, self.height), interpolation=how)
        return resized

    def _check_size(self, height: int, width: int) -> None:
        if height * width > self.max_pixels:
            raise BadImage(f"{width} × {height} pixels, more than the limit of {self.max_pixels}")
        if not height or not width:
            raise BadImage(f"{width} × {height} pixels")

    def _jpeg(self, data: bytes) -> tuple[npt.NDArray[np.uint8], str]:
        try:
            height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        except (ValueError, KeyError):  # KeyError: a sampling that it has no name for
            return self._strange_jpeg(data), ""
        self._check_size(height, width)
        # libjpeg's own scaling leaves at least twice the size wanted, so that the averaging does most of the work
        smallest = (2 * self.height, 2 * self.width) if self.area else (0, 0)
        warning = ""
        arguments = ("GRAY" if self.gray else "BGR", False, False, *smallest)
        try:
            pixels = simplejpeg.decode_jpeg(data, *arguments)
        except ValueError as error:
            warning = str(error)
            if _TRUNCATED in warning:
                raise BadImage("a truncated JPEG") from None
            try:
                pixels = simplejpeg.decode_jpeg(data, *arguments, strict=False)
            except ValueError as second:
                raise BadImage(f"a damaged JPEG: {second}") from None
        except MemoryError:
            raise BadImage(f"{width} × {height} pixels, more than the memory limit allows") from None
        if space not in ("YCbCr", "Gray") or _rotated(data):
            pixels = self._opencv(data)
        return (pixels[..., 0] if pixels.ndim == 3 and self.gray else pixels), warning

    def _strange_jpeg(self, data: bytes) -> npt.NDArray[np.uint8]:
        """A JPEG of a sampling that simplejpeg does not know but libjpeg, and so Caffe, reads."""
        size = _jpeg_size(data)
        if size is None or data.find(b"\xff\xd9", size[2]) < 0:
            raise BadImage("a truncated JPEG" if size else "a JPEG without a readable header (truncated?)")
        self._check_size(*size[:2])
        return self._opencv(data)

    def _opencv(self, data: bytes, flags: int = 0) -> npt.NDArray[np.uint8]:
        try:
            mode = flags | (cv2.IMREAD_GRAYSCALE if self.gray else cv2.IMREAD_COLOR)
            pixels: npt.NDArray[np.uint8] | None = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
        except cv2.error as error:
            raise BadImage(f"OpenCV refuses it: {str(error).strip().splitlines()[-1][:160]}") from None
        except MemoryError:
            raise BadImage("decoding it needs more than the memory limit allows") from None
        if pixels is None:
            raise BadImage("a damaged image: OpenCV cannot decode it")
        return pixels

    def _check_other(self, data: bytes) -> None:
        """PNG and BMP by their headers; else refused, for the fewer decoders meet strange bytes the better."""
        if not data:
            raise BadImage("the file is empty")
        if data.startswith(_PNG):
            self._check_png(data)
        elif data.startswith(b"BM") and len(data) >= 26:
            _, offset, header, width, height = struct.unpack_from("<I4xIIii", data, 2)
            if header < 40:
                raise BadImage("a BMP of a kind that is not read")
            self._check_size(abs(height), abs(width))
            bits = struct.unpack_from("<H", data, 28)[0]
            rows = offset + abs(height) * ((abs(width) * bits + 31) // 32 * 4)
            if struct.unpack_from("<I", data, 30)[0] == 0 and len(data) < rows:
                raise BadImage("a truncated BMP")
        else:
            known = next((name for magic, name in _OTHERS if data.startswith(magic)), "")
            raise BadImage(f"not an image that is read here: {known or 'unknown bytes'}; expected JPEG, PNG or BMP")

    def _check_png(self, data: bytes) -> None:
        at = len(_PNG)
        while at + 12 <= len(data):
            size, name = struct.unpack_from(">I4s", data, at)
            end = at + 8 + size
            if at == len(_PNG):
                if name != b"IHDR" or size != 13:
                    raise BadImage("a PNG without a header")
                self._check_size(*reversed(struct.unpack_from(">II", data, at + 8)))
            if end + 4 > len(data):
                break
            if zlib.crc32(memoryview(data)[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
                raise BadImage("a damaged PNG: wrong checksum")
            if name == b"IEND":
                return
            at = end + 4
        raise BadImage("a truncated PNG")


def _jpeg_size(data: bytes) -> tuple[int, int, int] | None:
    """Height, width and where the frame header ends, from the first frame header."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return height, width, at + 9
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _rotated(data: bytes) -> bool:
    """Whether EXIF asks for a rotation or a flip, or cannot be understood; OpenCV then decides."""
    at = data.find(_EXIF, 0, 1 << 16)
    if at < 0:
        return False
    tiff = at + len(_EXIF)
    order = {b"II": "<", b"MM": ">"}.get(data[tiff : tiff + 2], "")
    if not order:
        return True
    try:
        directory = tiff + struct.unpack_from(order + "I", data, tiff + 4)[0]
        for entry in range(struct.unpack_from(order + "H", data, directory)[0]):
            tag, kind = struct.unpack_from(order + "HH", data, directory + 2 + 12 * entry)
            if tag == 0x0112:
                return bool(kind != 3 or struct.unpack_from(order + "H", data, directory + 10 + 12 * entry)[0] != 1)
    except struct.error:
        return True
    return False


def versions() -> dict[str, str]:
    """The decoders in use, for reports: records are equal where these are."""
    jpeg = next(
        (
            line.split(":", 1)[1].strip()
            for line in cv2.getBuildInformation().splitlines()
            if line.strip().startswith("JPEG:")
        ),
        "",
    )
    return {
        "simplejpeg": simplejpeg.__version__,
        "opencv": cv2.__version__,
        "opencv_jpeg": jpeg,
        "numpy": np.__version__,
    }
