"""The pictures that the page offers to begin with, at the net's size."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image

from foolcaffe import starts
from foolcaffe.classifier import Classifier
from foolcaffe.datasets.demo import PHOTOS
from foolcaffe.images import Rgb8, read_image
from foolcaffe.trained import TrainedModel


def photographs(net: Classifier) -> list[dict[str, Any]]:
    """The photographs of scikit-image that are in the public domain or under CC0, each cut to its middle square."""
    free = {
        key: facts for key, facts in PHOTOS.items() if facts[2].startswith(("CC0", "public domain", "NASA, public"))
    }
    folder = Path(skimage.data.__file__).parent
    return [
        picture(key, names.split(",")[0], middle(read_image(folder / file), net), licence)
        for key, (file, names, licence) in free.items()
    ]


def from_file(path: Path, net: Classifier) -> dict[str, Any]:
    """Any picture, cut to its middle square.

    Raises:
        FoolCaffeError: see :func:`read_image`.
    """
    return picture(path.stem, path.stem, middle(read_image(path), net), "")


def from_dataset(text: str, model: TrainedModel, net: Classifier) -> dict[str, Any]:
    """A validation image, ``val:N``.

    Raises:
        FoolCaffeError: see :func:`foolcaffe.starts.named`.
    """
    start = starts.named(text, model, net, seed=1)
    return picture(start.short, start.description, start.image, f"{model.dataset.name}: under the terms of the dataset")


def middle(image: Rgb8, net: Classifier) -> Rgb8:
    """The largest part in the middle that has the net's proportions, resized with antialiasing."""
    _, height, width = net.shape
    rows, columns = image.size
    scale = min(rows / height, columns / width)
    tall, wide = round(height * scale), round(width * scale)
    top, left = (rows - tall) // 2, (columns - wide) // 2
    part = Image.fromarray(image.array[top : top + tall, left : left + wide])
    return Rgb8(np.asarray(part.resize((width, height), Image.Resampling.BOX)))


def picture(key: str, name: str, image: Rgb8, credit: str) -> dict[str, Any]:
    """A JSON object: ``pixels`` is base64 of height × width × 3 bytes, RGB."""
    return {"key": key, "name": name, "credit": credit, "pixels": base64.b64encode(image.array.tobytes()).decode()}
