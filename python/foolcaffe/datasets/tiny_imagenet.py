"""Tiny ImageNet-200: 200 classes of ImageNet at 64×64, from a zip or a folder of the user's, or downloaded."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath

from foolcaffe.errors import FoolCaffeError
from foolcaffe.progress import Progress

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
CHECKSUM = "md5:90528d7ca1a48142e341f4ef8d21d0de"
MAX_FILE_BYTES = 1 << 24
"""No file of the dataset comes near 16 MiB; a larger one in the zip is not it."""


def unpack(archive: Path, folder: Path, quiet: bool = False) -> None:
    """Unpack the zip into ``folder``, without its leading ``tiny-imagenet-200/``.

    Every file's CRC is checked by reading it; a path that would leave the folder is refused.

    Raises:
        FoolCaffeError: no zip, truncated, damaged, or not Tiny ImageNet.
    """
    if not archive.is_file():
        raise FoolCaffeError(f"no zip at {archive}", "TINY_IMAGENET= names the zip or a folder made of it")
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [m for m in zipped.infolist() if not m.is_dir()]
            _check_is_tiny_imagenet(archive, [m.filename for m in members])
            with Progress(len(members), "files", "unpacking", quiet) as progress:
                for member in members:
                    target = folder.joinpath(*_inside(archive, member))
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(zipped.read(member))
                    progress.advance()
    except (zipfile.BadZipFile, EOFError, zipfile.LargeZipFile) as error:
        raise FoolCaffeError(f"{archive} is truncated or damaged: {error}", "download it again") from None


def _inside(archive: Path, member: zipfile.ZipInfo) -> tuple[str, ...]:
    parts = PurePosixPath(member.filename).parts
    if ".." in parts or member.filename.startswith("/") or stat.S_ISLNK(member.external_attr >> 16):
        raise FoolCaffeError(f"{archive}: {member.filename!r} would leave the folder: the zip is refused")
    if member.file_size > MAX_FILE_BYTES:
        raise FoolCaffeError(f"{archive}: {member.filename!r} has {member.file_size} bytes: this is not Tiny ImageNet")
    return parts[1:] if parts[0] == "tiny-imagenet-200" else parts


def _check_is_tiny_imagenet(archive: Path, names: list[str]) -> None:
    tails = {name.removeprefix("tiny-imagenet-200/") for name in names}
    missing = [n for n in ("wnids.txt", "words.txt", "val/val_annotations.txt") if n not in tails]
    if missing:
        raise FoolCaffeError(f"{archive} is not Tiny ImageNet: {', '.join(missing)} missing")
