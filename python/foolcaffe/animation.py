"""The way from a start to its fooling image as a short film: the picture, and what the net sees in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from caffefiles.files import atomic_path
from foolcaffe.attacks.base import Result, Scores
from foolcaffe.classes import Synsets
from foolcaffe.figures import percent
from foolcaffe.style import BLUE, ORANGE, drawable, font_for

FORMATS = ("gif", "webp")
STEPS, FRAME_MS, FIRST_MS, LAST_MS = 30, 70, 900, 1800
"""Frames on the way, and how long one of them, the first and the last are shown, in milliseconds."""
WIDTH, LINE = 384, 34
"""Pixels: of the film, and of a line of text below the picture."""


def animate(path: Path, result: Result, net: Scores, synsets: Synsets, target: int) -> None:
    """Write the film. Every frame is an 8-bit image on the straight line, scored by the net.

    Args:
        path: what it ends in is the format: one of :data:`FORMATS`.
        result: the attack's.
        net: scores the frames.
        synsets: the classes' names.
        target: the class that the last frame is taken for.
    """
    start, end = result.start.to_bgr().array, result.image.to_bgr().array
    parts = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None, None, None]
    images = np.rint(start + parts * (end - start)).astype(np.float32)
    probabilities = net.probabilities(images)
    seen = int(probabilities[0].argmax())
    first = seen if seen != target else int(np.delete(probabilities[0], target).argmax())
    frames = []
    for image, row in zip(images, probabilities):
        lines = [(drawable(synsets[i], 26), float(row[i]), colour) for i, colour in ((first, BLUE), (target, ORANGE))]
        frames.append(_frame(image[::-1].transpose(1, 2, 0).astype(np.uint8), lines))
    if path.suffix == ".gif":  # 256 colours, the bars' among them although they are rare
        how = Image.Quantize.MAXCOVERAGE
        frames = [frame.quantize(256, method=how, kmeans=1, dither=Image.Dither.NONE) for frame in frames]
    times = [FIRST_MS, *[FRAME_MS] * (STEPS - 2), LAST_MS]
    with atomic_path(path) as temporary:
        kind = path.suffix[1:].upper()
        frames[0].save(
            temporary, format=kind, save_all=True, append_images=frames[1:], duration=times, loop=0, lossless=True
        )


def _frame(pixels: np.ndarray, lines: list[tuple[str, float, str]]) -> Image.Image:
    height = round(WIDTH * pixels.shape[0] / pixels.shape[1])
    frame = Image.new("RGB", (WIDTH, height + LINE * len(lines) + 4), "white")
    frame.paste(Image.fromarray(pixels).resize((WIDTH, height), Image.Resampling.NEAREST))
    draw = ImageDraw.Draw(frame)
    for number, (name, probability, colour) in enumerate(lines):
        top = height + 4 + LINE * number
        font = ImageFont.truetype(font_for(name), 16)
        draw.text((6, top), name, "black", font)
        draw.text((WIDTH - 6, top), percent(probability), "black", font, anchor="ra")
        draw.rectangle((6, top + 24, WIDTH - 6, top + 29), "#eeeeee")
        draw.rectangle((6, top + 24, 6 + round((WIDTH - 12) * probability), top + 29), colour)
    return frame
