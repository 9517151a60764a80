"""The demo dataset: crops of photographs that come inside scikit-image's wheel, in ILSVRC's layout.

Each photograph is a class. It is cut in two along its longer side: training crops come from the first part, validation
crops from the last, with a gap of nothing between them but no pixel shared. Crops are squares of random place and size,
written as JPEGs, so that the whole road from JPEG to fooling PNG is walked, offline.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image

from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import Rgb8, read_image
from foolcaffe.progress import Progress

PHOTOS: dict[str, tuple[str, str, str]] = {
    # wnid: (file in skimage/data, names, licence as scikit-image's documentation states it)
    "astronaut": ("astronaut.png", "astronaut, Eileen Collins", "NASA, public domain"),
    "brick": ("brick.png", "brick wall", "CC0, CC0Textures"),
    "cameraman": ("camera.png", "cameraman", "CC0, Lav Varshney"),
    "cat": ("chelsea.png", "cat, Chelsea", "CC0, Stefan van der Walt"),
    "clock": ("clock_motion.png", "clock, wall clock", "public domain, Stefan van der Walt"),
    "coffee": ("coffee.png", "coffee, espresso", "CC0, Rachel Michetti"),
    "coins": ("coins.png", "coins, Greek coins", "no known copyright restrictions, Brooklyn Museum"),
    "grass": ("grass.png", "grass", "CC0, linolafett"),
    "gravel": ("gravel.png", "gravel", "CC0, CC0Textures"),
    "hubble": ("hubble_deep_field.jpg", "deep field, galaxies", "NASA, public domain"),
    "moon": ("moon.png", "moon, lunar surface", "NASA, as part of scikit-image's data"),
    "retina": ("retina.jpg", "retina, fundus", "CC0, Mikael Häggström"),
    "rocket": ("rocket.jpg", "rocket, Falcon 9", "public domain, SpaceX"),
    "tissue": ("ihc.png", "stained tissue, immunohistochemistry", "no known copyright restrictions, CMMI"),
}
TRAIN_PER_CLASS = 200
VAL_PER_CLASS = 50
TRAIN_PART = 0.68
"""The share of the longer side that training crops come from."""
SMALLEST, LARGEST = 64, 176
"""Side of a crop in pixels, before it is resized to 64×64."""
JPEG_QUALITY = 95


def build(folder: Path, seed: int = 1, quiet: bool = False) -> None:
    """Write ``train/<class>/<n>.JPEG``, ``val/<class>/<n>.JPEG`` and ``synset_words.txt`` into ``folder``.

    The whole photographs go to ``photos/<class>.JPEG``: no list names them; they are good starts for fooling.

    Args:
        folder: an empty or new folder.
        seed: of every draw; the same seed gives the same bytes.
        quiet: no progress.

    Raises:
        FoolCaffeError: a photograph is missing from the installed scikit-image.
    """
    source = Path(skimage.data.__file__).parent
    total = len(PHOTOS) * (TRAIN_PER_CLASS + VAL_PER_CLASS)
    with Progress(total, "crops", "demo dataset", quiet) as progress:
        for number, (wnid, (file, _, _)) in enumerate(PHOTOS.items()):
            if not (source / file).exists():
                raise FoolCaffeError(
                    f"the installed scikit-image has no {file}", "it comes inside its wheel: install that"
                )
            photo = read_image(source / file)
            (folder / "photos").mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo.array).save(folder / "photos" / f"{wnid}.JPEG", quality=JPEG_QUALITY)
            for part, count in (("train", TRAIN_PER_CLASS), ("val", VAL_PER_CLASS)):
                region = _region(photo, part)
                (folder / part / wnid).mkdir(parents=True, exist_ok=True)
                rng = np.random.default_rng([seed, number, part == "val"])
                for index in range(count):
                    crop = _crop(region, rng)
                    Image.fromarray(crop).save(folder / part / wnid / f"{wnid}_{index}.JPEG", quality=JPEG_QUALITY)
                    progress.advance()
    words = "".join(f"{wnid} {names}\n" for wnid, (_, names, _) in sorted(PHOTOS.items()))
    (folder / "synset_words.txt").write_text(words, encoding="utf-8")


def _region(photo: Rgb8, part: str) -> npt.NDArray[np.uint8]:
    """The part of the photograph that crops of ``part`` come from; the two parts share no pixel."""
    pixels = photo.array
    height, width = photo.size
    if width >= height:
        cut = round(width * TRAIN_PART)
        return pixels[:, :cut] if part == "train" else pixels[:, cut:]
    cut = round(height * TRAIN_PART)
    return pixels[:cut] if part == "train" else pixels[cut:]


def _crop(region: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    height, width = region.shape[:2]
    side = int(rng.integers(SMALLEST, min(LARGEST, height, width) + 1))
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    return np.ascontiguousarray(region[top : top + side, left : left + side])
