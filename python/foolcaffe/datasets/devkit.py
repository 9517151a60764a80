"""ILSVRC2012's devkit: which class each validation image is of, and what the classes are called."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from foolcaffe.errors import FoolCaffeError

_MAX_MEMBER = 1 << 26
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def read(path: Path) -> tuple[dict[int, tuple[str, str]], list[int]]:
    """The classes {ILSVRC2012_ID: (wnid, words)} and the ID of each validation image in order.

    Args:
        path: ``ILSVRC2012_devkit_t12.tar.gz``, or the folder unpacked from it.

    Raises:
        FoolCaffeError: not the devkit.
    """
    from scipy.io import loadmat

    files = dict(_files(path))
    if set(files) != {"meta.mat", _TRUTH}:
        raise FoolCaffeError(f"{path} is not ILSVRC2012's devkit", f"expected data/meta.mat and data/{_TRUTH} in it")
    try:
        synsets = loadmat(io.BytesIO(files["meta.mat"]), squeeze_me=True)["synsets"]
        classes = {
            int(s["ILSVRC2012_ID"]): (str(s["WNID"]), str(s["words"])) for s in synsets if int(s["num_children"]) == 0
        }
        truth = [int(line) for line in files[_TRUTH].split()]
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise FoolCaffeError(f"{path}: the devkit is damaged: {error}", "get it again") from None
    if not set(truth) <= set(classes):
        raise FoolCaffeError(f"{path}: the ground truth names classes that meta.mat does not have")
    return classes, truth


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for name in ("meta.mat", _TRUTH):
            found = next(path.rglob(name), None)
            if found is not None:
                yield name, found.read_bytes()
        return
    try:
        with tarfile.open(path, "r:*") as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                if name in ("meta.mat", _TRUTH) and member.isreg() and member.size <= _MAX_MEMBER:
                    file = tar.extractfile(member)
                    if file is not None:
                        yield name, file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise FoolCaffeError(f"{path} is not ILSVRC2012's devkit: {error}") from None
