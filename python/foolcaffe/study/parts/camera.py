"""Fooling PNGs printed and photographed, modelled: resampling, perspective, blur, light, noise, JPEG. Which survive?"""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.transform import ProjectiveTransform, warp

from foolcaffe.attacks.base import Attack, Criterion
from foolcaffe.attacks.exact import exact
from foolcaffe.attacks.gradient import gradient, sign
from foolcaffe.images import Rgb8
from foolcaffe.study.common import CASE_SEED, cases, decay_name, median, stack
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.record import NOTE, Check, Claim
from foolcaffe.style import BLUE, GREEN, GREY, ORANGE, styled

ZOOM = 5
"""Pixels of the photograph for each of the picture."""
PHOTOS = 3
"""Of each picture, each with its own draws."""
TILT, BLUR, NOISE, QUALITY = 0.02, 0.6, 3.0, 80
"""Corners move by up to this part of the side; blur in pixels of the picture; noise in grey levels; JPEG's quality."""
LIGHT, CONTRAST = 12.0, 0.1
SURE = 0.99
ATTACKS: dict[str, tuple[Attack, float | None]] = {
    "exact, just": (exact, None),
    "template, just": (gradient, None),
    "sign, just": (sign, None),
    "exact, 99 % sure": (exact, SURE),
    "template, 99 % sure": (gradient, SURE),
    "sign, 99 % sure": (sign, SURE),
}


def photograph(image: Rgb8, rng: np.random.Generator) -> Rgb8:
    """A picture as a camera gives it back, cut out by its four corners and brought to its size again.

    Printed at :data:`ZOOM` times its size, seen with a random perspective that the cutting out undoes up to an error of
    half the tilt, blurred, under other light, with sensor noise, saved as JPEG.
    """
    height, width = image.size
    large = np.asarray(
        Image.fromarray(image.array).resize((width * ZOOM, height * ZOOM), Image.Resampling.BICUBIC), np.float64
    )
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * [large.shape[1] - 1, large.shape[0] - 1]
    seen = corners + rng.uniform(-TILT, TILT, (4, 2)) * [large.shape[1], large.shape[0]]
    cut = seen + rng.uniform(-TILT / 2, TILT / 2, (4, 2)) * [large.shape[1], large.shape[0]]
    tilted = _projected(large, seen, corners)
    blurred = gaussian_filter(tilted, (BLUR * ZOOM, BLUR * ZOOM, 0))
    lit = (blurred - 127.5) * (1 + rng.uniform(-CONTRAST, CONTRAST)) + 127.5 + rng.uniform(-LIGHT, LIGHT)
    noisy = lit + rng.normal(0, NOISE, lit.shape)
    file = io.BytesIO()
    Image.fromarray(np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)).save(file, "JPEG", quality=QUALITY)
    photo = np.asarray(Image.open(file), np.float64)
    flat = _projected(photo, corners, cut)
    whole = Image.fromarray(np.rint(np.clip(flat, 0, 255)).astype(np.uint8))
    return Rgb8(np.asarray(whole.resize((width, height), Image.Resampling.BOX)))


def _projected(
    image: npt.NDArray[np.float64], new: npt.NDArray[np.float64], old: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """What lies at the corners ``old`` comes to lie at ``new``; outside, the edge goes on."""
    transform = ProjectiveTransform(cv2.getPerspectiveTransform(new.astype(np.float32), old.astype(np.float32)))
    return np.asarray(warp(image, transform, order=1, mode="edge", preserve_range=True))


def run(lab: Lab) -> list[Claim]:
    """Fool, photograph, judge; with the post's decay and with the strongest."""
    decays = (100.0, lab.scale.decays[-1])
    found: dict[float, dict[str, Any]] = {d: lab.step(f"decay{d:g}", _measure, d) for d in decays}
    _plots(lab, found)
    lab.table(
        "survival",
        "What is left through the camera",
        [
            {
                "weight decay": d,
                "attack": name,
                "fooling PNGs": a["fooled"],
                "median mean |δ|": median(a["mean"]),
                "photos": a["photos"],
                "still the wrong class (%)": 100 * a["survive"],
                "right again (%)": 100 * a["back"],
            }
            for d, f in found.items()
            for name, a in f["attacks"].items()
        ],
    )
    return _claims(found)


def _claims(found: dict[float, dict[str, Any]]) -> list[Claim]:
    post = found[100.0]
    sure = {name: a["survive"] for name, a in post["attacks"].items() if ATTACKS[name][1]}
    just = {name: a["survive"] for name, a in post["attacks"].items() if not ATTACKS[name][1]}
    best = max(sure, key=lambda name: sure[name])
    least = max(just, key=lambda name: just[name])
    return [
        Claim(
            "camera",
            NOTE,
            "Kurakin et al. (2016) showed that adversarial examples are still effective, even when perceived through a "
            "cellphone camera.",
            f"Of the fooling images that are 99 % sure, {100 * sure[best]:.0f} % keep the wrong class through the "
            f"modelled camera ({best.partition(',')[0]}); of those that just fool, {100 * just[least]:.0f} % "
            f"({least.partition(',')[0]}). Without a change the camera alone alters {100 * (1 - post['same']):.0f} % "
            f"of the classes, and gives the wrong class {100 * post['chance']:.0f} % of the time.",
            [
                Check("photos that keep the wrong class, best attack, 99 % sure", 100 * sure[best], "≥", 50.0, "%"),
                Check("the same for photos of the unchanged images", 100 * post["chance"], "≤", 10.0, "%"),
            ],
        )
    ]


def _measure(lab: Bench, decay: float) -> dict[str, Any]:
    net = lab.decayed(decay, lab.scale.seeds[0]).classifier()
    chosen = cases(lab.dataset, [net], min(lab.scale.images, 40))
    rng = np.random.default_rng(CASE_SEED)
    before = net.scores(stack([c.start for c in chosen])).argmax(axis=1)

    def seen(image: Rgb8) -> npt.NDArray[np.intp]:
        photos = stack([photograph(image, rng) for _ in range(PHOTOS)])
        return np.asarray(net.scores(photos).argmax(axis=1))

    same, chance = [], []
    for case, first in zip(chosen, before):
        answers = seen(case.start)
        same += (answers == first).tolist()
        chance += (answers == case.target).tolist()
    attacks = {}
    for name, (attack, confidence) in ATTACKS.items():
        means, survive, back = [], [], []
        for case, first in zip(chosen, before):
            result = attack(net, case.start, Criterion(case.target, confidence), seed=CASE_SEED)
            if not result.success["image"]:
                continue
            answers = seen(result.image)
            means.append(result.distances.mean)
            survive += (answers == case.target).tolist()
            back += (answers == first).tolist()
        attacks[name] = {
            "fooled": len(means),
            "mean": means,
            "photos": len(survive),
            "survive": float(np.mean(survive)) if survive else 0.0,
            "back": float(np.mean(back)) if back else 0.0,
        }
        lab.say(f"photographed {name}")
    return {"same": float(np.mean(same)), "chance": float(np.mean(chance)), "attacks": attacks, "images": len(chosen)}


def _plots(lab: Lab, found: dict[float, dict[str, Any]]) -> None:
    seed = f"targets and camera {CASE_SEED}, training {lab.scale.seeds[0]}"
    first = next(iter(found.values()))
    names = list(ATTACKS)
    place = np.arange(len(names))
    with styled():
        canvas = Figure(figsize=(9.5, 4.2), layout="constrained")
        axes = canvas.subplots()
        for (decay, f), colour, shift in zip(found.items(), (BLUE, ORANGE), (-0.2, 0.2)):
            values = [100 * f["attacks"][name]["survive"] for name in names]
            bars = axes.bar(place + shift, values, 0.38, color=colour, label=f"decay {decay_name(decay)}")
            axes.bar_label(bars, [f"{v:.0f}" for v in values], fontsize=9)
        axes.axhline(100 * first["chance"], color=GREY, lw=1, ls="--", label="photos of unchanged images")
        axes.set_xticks(place, [name.replace(", ", ",\n") for name in names])
        axes.set(
            ylim=(0, 108),
            xlabel="attack, and how sure the net was of the wrong class",
            ylabel="photos that keep the wrong class (%)",
        )
        axes.legend(fontsize=9)
    survivals = ", ".join(f"{name} {100 * first['attacks'][name]['survive']:.0f} %" for name in names)
    lab.figure(
        "camera",
        canvas,
        "Which attacks survive the camera",
        f"Photos that keep the wrong class: {survivals}.",
        f"{first['images']} validation images, {PHOTOS} photos of each",
        seed,
    )
    net = lab.decayed(100.0, lab.scale.seeds[0]).classifier()
    case = cases(lab.dataset, [net], min(lab.scale.images, 40))[0]
    fooling = gradient(net, case.start, Criterion(case.target, SURE), seed=CASE_SEED).image
    rng = np.random.default_rng(CASE_SEED)
    shown = [
        ("start", case.start),
        ("its photograph", photograph(case.start, rng)),
        ("fooling PNG", fooling),
        ("its photograph", photograph(fooling, rng)),
    ]
    with styled():
        canvas = Figure(figsize=(9.5, 2.9), layout="constrained")
        for axes, (title, image) in zip(canvas.subplots(1, 4), shown):
            p = float(net.probabilities(image.to_bgr())[0, case.target])
            axes.imshow(image.array, interpolation="nearest")
            axes.axis("off")
            axes.set_title(title, fontsize=10)
            colour = GREEN if p < 0.5 else ORANGE
            axes.text(
                0.5,
                -0.04,
                f"wrong class: {100 * p:.1f} %",
                transform=axes.transAxes,
                ha="center",
                va="top",
                fontsize=10,
                color=colour,
            )
    lab.figure(
        "photos",
        canvas,
        "A start and a fooling PNG, each before and after the camera",
        "Four pictures: a start, its photograph, the fooling PNG, and its photograph, with the confidence in the "
        "wrong class.",
        "one image, the first of the tried",
        seed,
        photos=True,
    )
