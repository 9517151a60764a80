"""Where a fooling image begins: a file, noise, flat grey, or a validation image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from caffefiles.datum import DatumLMDB, Record
from foolcaffe.classifier import Classifier
from foolcaffe.engine import ROOT
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import BgrPixels, Rgb8, noise, read_image, resize
from foolcaffe.trained import TrainedModel

LOOKED_AT = 500
"""Validation images looked at for a start that the net classifies correctly."""


@dataclass(frozen=True)
class Start:
    """An image of the net's size; what it is, for people (``description``) and for names of files (``short``)."""

    image: Rgb8
    description: str
    short: str


def from_file(path: Path, net: Classifier) -> Start:
    """A picture of any size and kind.

    Raises:
        FoolCaffeError: see :func:`read_image`.
    """
    return Start(resize(read_image(path), *net.shape[1:]), path.name, path.stem)


def from_files(paths: Sequence[Path], net: Classifier) -> list[Start]:
    """Several pictures; files of one name are told apart by their folders' names.

    Raises:
        FoolCaffeError: see :func:`read_image`.
    """
    names = Counter(path.stem for path in paths)
    folders = {path: f"{path.absolute().parent.name}-{path.stem}" for path in paths if names[path.stem] > 1}
    found = [from_file(path, net) for path in paths]
    return [replace(start, short=folders.get(path, start.short)) for path, start in zip(paths, found)]


def named(text: str, model: TrainedModel, net: Classifier, seed: int) -> Start:
    """``noise``, ``grey``, or ``val:N`` for validation image N.

    Raises:
        FoolCaffeError: none of these, no such validation image, or no validation LMDB.
    """
    _, height, width = net.shape
    if text == "noise":
        return Start(noise(height, width, seed), f"uniform noise, seed {seed}", f"noise{seed}")
    if text == "grey":
        return Start(Rgb8(np.full((height, width, 3), 128, np.uint8)), "flat grey", "grey")
    number = re.fullmatch(r"val:(\d+)", text)
    if not number:
        raise FoolCaffeError(f"--start {text!r} is no start", "expected: noise, grey, or val:N for validation image N")
    with DatumLMDB(model.dataset / "val_lmdb") as records:
        return _validation(model, net, int(number.group(1)), records.record(int(number.group(1))))


def default(model: TrainedModel, net: Classifier, targets: Sequence[int]) -> Start:
    """A photograph of the dataset's, or a validation image, that the net gets right and that is of no wanted class.

    The photographs are whole pictures in ``data/<dataset>/photos``, which the demo has; the name of a file is that of a
    class. Of validation images it is the one of which the net is surest among the first :data:`LOOKED_AT` that can be
    taken; if it gets none right, the first of them.

    Raises:
        FoolCaffeError: no validation LMDB, or no image of another class in it.
    """
    synsets = model.synsets()
    for photo in sorted((ROOT / "data" / model.dataset.name / "photos").glob("*.*")):
        start = from_file(photo, net)
        best = synsets[int(net.scores(start.image.to_bgr()).argmax())]
        if best.id not in targets and photo.stem in (best.wnid, *best.names):
            return start
    with DatumLMDB(model.dataset / "val_lmdb") as records:
        fit = ((i, r) for i, r in enumerate(records) if r.label not in targets and r.pixels.shape == net.shape)
        found = list(islice(fit, LOOKED_AT))
    if not found:
        raise FoolCaffeError(
            f"{records.path} has no image of another class than the wanted", "choose a start with --image"
        )
    probabilities = net.probabilities(np.stack([record.pixels for _, record in found]).astype(np.float32))
    right = probabilities.argmax(axis=1) == [record.label for _, record in found]
    surest = int(np.where(right, probabilities.max(axis=1), -1.0).argmax())  # the first one, if none is right
    return _validation(model, net, *found[surest])


def _validation(model: TrainedModel, net: Classifier, index: int, record: Record) -> Start:
    if record.pixels.shape != net.shape:
        raise FoolCaffeError(f"validation image {index} is {record.pixels.shape}, the net takes {net.shape}")
    image = BgrPixels(record.pixels.astype(np.float32)).to_rgb8()
    return Start(image, f"validation image {index}, {model.synsets()[record.label]}", f"val{index}")
