"""Images of every kind that a dataset has met, good and bad, made here; and small datasets of them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def photo(height: int, width: int, channels: int = 3, seed: int = 3) -> np.ndarray:
    """Smooth noise, so that JPEG and resizing have something to do."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 2, width // 8 + 2, channels), dtype=np.uint8)
    image = Image.fromarray(coarse if channels > 1 else coarse[..., 0])
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def jpeg(pixels: np.ndarray | Image.Image, **how: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    image.save(out, "JPEG", **{"quality": 92, **how})
    return out.getvalue()


def saved(image: Image.Image, kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_raw(height: int, width: int, kind: int, bits: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    parts = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def png16(height: int, width: int, channels: int) -> bytes:
    pixels = np.random.default_rng(5).integers(0, 65536, (height, width, channels)).astype(">u2")
    return png_raw(height, width, {3: 2, 4: 6}[channels], 16, b"".join(b"\0" + row.tobytes() for row in pixels))


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def good() -> dict[str, bytes]:
    """Images that are stored, and to the same bytes as real convert_imageset stores."""
    rgb = Image.fromarray(photo(90, 120))
    plain = jpeg(rgb)
    flipped = bytearray(plain)
    flipped[len(plain) // 2] ^= 0x55
    return {
        "plain.JPEG": plain,
        "gray.JPEG": jpeg(rgb.convert("L")),
        "cmyk.JPEG": jpeg(rgb.convert("CMYK")),
        **{f"turned{o}.JPEG": jpeg(rgb, exif=turned(o)) for o in range(1, 9)},
        **{
            f"sampling{s.replace(':', '')}.JPEG": jpeg(rgb, subsampling=s) for s in ("4:4:4", "4:2:2", "4:2:0", "4:1:1")
        },
        "progressive.JPEG": jpeg(rgb, progressive=True),
        "rgb.JPEG": jpeg(rgb, keep_rgb=True),
        "coarse.JPEG": jpeg(rgb, quality=5),
        "trailing.JPEG": plain + b"x" * 99,
        "extraneous.JPEG": plain[:-2] + b"\0\0" + plain[-2:],
        "pixel.JPEG": jpeg(photo(1, 1)),
        "thin.JPEG": jpeg(photo(3, 400)),
        "small.JPEG": jpeg(photo(20, 31)),
        "twice.JPEG": jpeg(photo(128, 128)),
        "half.JPEG": jpeg(photo(128, 64)),
        "png.JPEG": saved(rgb, "PNG"),
        "alpha.png": saved(Image.fromarray(photo(70, 61, 4)), "PNG"),
        "gray-alpha.png": saved(rgb.convert("LA"), "PNG"),
        "palette.png": saved(rgb.convert("P"), "PNG"),
        "palette-transparent.png": saved(rgb.convert("P"), "PNG", transparency=3),
        "one-bit.png": saved(rgb.convert("1"), "PNG"),
        "gray.png": saved(rgb.convert("L"), "PNG"),
        "turned.png": saved(rgb, "PNG", exif=turned(6)),
        "deep.png": png16(33, 47, 3),
        "deep-alpha.png": png16(35, 45, 4),
        "exact.png": saved(Image.fromarray(photo(64, 64)), "PNG"),
        "colour.bmp": saved(rgb, "BMP"),
        "palette.bmp": saved(rgb.convert("P"), "BMP"),
        "path with  spaces.JPEG": plain,
        "päth-日本.JPEG": jpeg(photo(51, 77)),
    }


def bad() -> dict[str, tuple[bytes, str]]:
    """Images that are rejected: bytes, and what the reason says."""
    rgb = Image.fromarray(photo(90, 120))
    plain, png, bmp = jpeg(rgb), saved(rgb, "PNG"), saved(rgb, "BMP")
    bomb = bytearray(plain)
    frame = bomb.index(b"\xff\xc0")
    bomb[frame + 5 : frame + 9] = struct.pack(">HH", 65000, 64999)
    damaged = bytearray(png)
    damaged[len(png) // 2] ^= 1
    return {
        "truncated.JPEG": (plain[: len(plain) // 2], "truncated JPEG"),
        "no-end.JPEG": (plain[:-2], "truncated JPEG"),
        "header.JPEG": (plain[:100], "without a readable header"),
        "bomb.JPEG": (bytes(bomb), "64999 × 65000 pixels, more than the limit"),
        "bomb.png": (png_raw(100_000, 99_999, 2, 8, bytes(1000)), "99999 × 100000 pixels, more than the limit"),
        "empty.JPEG": (b"", "the file is empty"),
        "text.JPEG": (b"not an image" * 9, "not an image that is read here"),
        "page.JPEG": (b"<html>moved</html>", "text"),
        "truncated.png": (png[: len(png) // 2], "truncated PNG"),
        "no-end.png": (png[:-12], "truncated PNG"),
        "damaged.png": (bytes(damaged), "wrong checksum"),
        "truncated.bmp": (bmp[:3000], "truncated BMP"),
        "film.gif": (saved(rgb, "GIF"), "a GIF"),
        "print.tif": (saved(rgb, "TIFF"), "a TIFF"),
        "web.webp": (saved(rgb, "WEBP"), "a WebP"),
    }


def folder(root: Path, images: dict[str, bytes]) -> Path:
    """Write images under ``root`` and their list beside it; labels are their positions."""
    for name, data in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    listing = root.with_name(root.name + ".txt")
    listing.write_text("".join(f"{name} {label}\n" for label, name in enumerate(images)), encoding="utf-8")
    return listing


def many(root: Path, count: int, distinct: int = 40) -> Path:
    """``count`` images by hard links to ``distinct`` ones of distinct sizes, and their list."""
    root.mkdir(parents=True, exist_ok=True)
    originals = []
    for i in range(min(distinct, count)):
        originals.append(root / f"original-{i}.JPEG")
        originals[-1].write_bytes(jpeg(photo(40 + i, 90 - i, seed=i)))
    lines = []
    for i in range(count):
        name = f"n{i % 7:08d}/image_{i}.JPEG"
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.hardlink_to(originals[i % len(originals)]) if hasattr(path, "hardlink_to") else originals[
            i % len(originals)
        ].link_to(path)
        lines.append(f"{name} {i % 7}\n")
    listing = root.with_name(root.name + ".txt")
    listing.write_text("".join(lines), encoding="utf-8")
    return listing
