"""Ten words, spoken by espeak-ng in many voices; the same linear net on their spectrograms, fooled the same way."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from scipy.io import wavfile
from scipy.signal import stft
from skimage.transform import resize

from caffefiles.datum import Record
from caffefiles.files import write_text
from foolcaffe.attacks.base import Criterion
from foolcaffe.attacks.gradient import gradient
from foolcaffe.errors import FoolCaffeError
from foolcaffe.evaluate import evaluate
from foolcaffe.render import Overrides
from foolcaffe.study.closure import code_of
from foolcaffe.study.common import CASE_SEED, cases, median
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.record import POST, Check, Claim
from foolcaffe.study.views import building, write_lmdb
from foolcaffe.style import styled
from foolcaffe.trained import TrainedModel

WORDS = ("eight", "five", "four", "nine", "one", "seven", "six", "three", "two", "zero")
VOICES = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5")
"""espeak-ng's variants of its English voice; the last three are heard in the validation only."""
HELD_OUT = 3
SPOKEN = 60
"""Training examples a word; a fifth as many for a dataset of the smallest scale. Validation: a third of them."""
SIDE, BANDS, WINDOW = 64, 192, 512
DECIBELS = 80.0
"""Below the loudest; what is quieter is black."""
DECAY = 100.0
SMALL = 8.0
SEED = 7
ESPEAK = "espeak-ng"
QUOTE = "the core flaw extends to many other domains (e.g. speech recognition systems)"


def speak(word: str, voice: str, speed: int, pitch: int) -> tuple[int, npt.NDArray[np.float64]]:
    """A word as sound: samples a second, samples.

    Raises:
        FoolCaffeError: espeak-ng failed.
    """
    arguments = [ESPEAK, "--stdout", "-v", f"en+{voice}", "-s", str(speed), "-p", str(pitch), word]
    done = subprocess.run(arguments, capture_output=True, check=False)
    if done.returncode or len(done.stdout) < 1000:
        raise FoolCaffeError(f"{ESPEAK} could not say {word!r}: {done.stderr.decode(errors='replace').strip()[-200:]}")
    # what goes to a pipe has no true length in its header
    data = bytearray(done.stdout)
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    data[40:44] = (len(data) - 44).to_bytes(4, "little")
    rate, samples = wavfile.read(io.BytesIO(bytes(data)))
    return int(rate), np.asarray(samples, np.float64)


def spectrogram(rate: int, samples: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """The loudness of 192 frequencies over 64 parts of the word, as 3 × 64 × 64 grey levels: low, middle, high.

    255 is the loudest of the word, 0 is :data:`DECIBELS` below it or less. Frequencies are rate / 512 apart.
    """
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    _, _, found = stft(samples[loud[0] : loud[-1] + 1], rate, nperseg=WINDOW, noverlap=WINDOW - WINDOW // 8)
    power = np.abs(found[1 : BANDS + 1]) ** 2
    level = 10 * np.log10(np.maximum(power / power.max(), 1e-12))
    grey = resize(255 * np.clip(1 + level / DECIBELS, 0, 1), (BANDS, SIDE), order=1, anti_aliasing=True)
    return np.asarray(np.rint(grey), np.uint8).reshape(3, SIDE, SIDE)


def spoken(folder: Path, each: int) -> Path:
    """The words as a dataset: ``each`` training examples a word, a third as many of other voices for validation."""

    def records(voices: tuple[str, ...], count: int, rng: np.random.Generator) -> Iterator[Record]:
        order = rng.permutation(count * len(WORDS))
        for place, index in enumerate(order):
            label = int(index) % len(WORDS)
            voice = voices[int(rng.integers(len(voices)))]
            sound = speak(WORDS[label], voice, int(rng.integers(120, 200)), int(rng.integers(20, 80)))
            yield Record(f"{place:08d}_{WORDS[label]}", label, spectrogram(*sound))

    with building(folder, f"{code_of(spoken)} {each}") as aside:
        if aside is not None:
            rng = np.random.default_rng(SEED)
            write_text(aside / "synset_words.txt", "".join(f"{word} {word}\n" for word in WORDS))
            write_lmdb(aside / "train_lmdb", records(VOICES[:-HELD_OUT], each, rng))
            write_lmdb(aside / "val_lmdb", records(VOICES[-HELD_OUT:], max(1, each // 3), rng))
    return folder


def run(lab: Lab) -> list[Claim]:
    """Speak, train, fool, judge."""
    if shutil.which(ESPEAK) is None:
        why = f"{ESPEAK} is not on this machine; on Debian: apt install {ESPEAK}"
        return [Claim("speech", POST, QUOTE, "No speech was made.", untestable=why)]
    lab.say(f"speaking {_each(lab) * len(WORDS)} words, and a third as many")
    found = {seed: lab.step(f"seed{seed}", _measure, seed) for seed in lab.scale.seeds}
    lab.table(
        "speech",
        "Spoken words, by seed of the training",
        [
            {
                "seed": s,
                "validation words": f["images"],
                "top-1 (%)": 100 * f["top1"],
                "tried": f["tried"],
                "turned into another word": len(f["mean"]),
                "median mean |δ| (grey levels)": median(f["mean"]),
                "turned by noise of that size (%)": 100 * f["noise"],
            }
            for s, f in found.items()
        ],
    )
    _plot(lab)
    top1 = float(np.mean([f["top1"] for f in found.values()]))
    fooled = sum(len(f["mean"]) for f in found.values()) / sum(f["tried"] for f in found.values())
    size = median([m for f in found.values() for m in f["mean"]])
    spread = 100 * float(np.ptp([f["top1"] for f in found.values()]))
    return [
        Claim(
            "speech",
            POST,
            QUOTE,
            f"The net knows {100 * top1:.0f} % of the words in voices that it has not heard ({len(found)} seeds, "
            f"within {spread:.0f} points). The word’s template, added to a spectrogram, turns {100 * fooled:.0f} % of "
            f"them into another word, with a median mean change of {size:.1f} of 255 levels, "
            f"{size * DECIBELS / 255:.1f} dB. What is changed is the spectrogram that the net sees; no sound was made "
            "of it.",
            [
                Check("words known, over chance", top1 * len(WORDS), "≥", 3.0, "times"),
                Check("words turned into a random other one", 100 * fooled, "≥", 95.0, "%"),
                Check("median mean |δ|", size, "≤", SMALL, "grey levels"),
                Check(
                    "the same by noise of that size",
                    100 * float(np.mean([f["noise"] for f in found.values()])),
                    "≤",
                    5.0,
                    "%",
                ),
            ],
        )
    ]


def _each(lab: Bench) -> int:
    """How often each word is spoken for training."""
    return SPOKEN // 5 if lab.scale.name == "smallest" else SPOKEN


def _model(lab: Bench, seed: int) -> TrainedModel:
    view = spoken(lab.root / "speech-words", _each(lab))
    overrides = Overrides(weight_decay=DECAY, seed=seed, max_iter=lab.scale.iterations)
    return lab.trained(f"words-seed{seed}", overrides, view=view)


def _measure(lab: Bench, seed: int) -> dict[str, Any]:
    model = _model(lab, seed)
    net = model.classifier()
    scored = evaluate(net, model.dataset / "val_lmdb", quiet=True)
    chosen = cases(model.dataset, [net], min(lab.scale.images, scored.images))
    mean, noisy = [], []
    rng = np.random.default_rng(CASE_SEED)
    for case in chosen:
        result = gradient(net, case.start, Criterion(case.target), seed=CASE_SEED)
        if result.success["image"]:
            mean.append(result.distances.mean)
            noise = result.distances.mean * rng.choice([-1.0, 1.0], net.shape)
            shown = np.rint(np.clip(case.start.to_bgr().array + noise, 0, 255)).astype(np.float32)
            noisy.append(float(net.scores(shown[None])[0].argmax() == case.target))
    return {
        "top1": scored.top1 / scored.images,
        "images": scored.images,
        "tried": len(chosen),
        "mean": mean,
        "noise": float(np.mean(noisy)) if noisy else 0.0,
    }


def _plot(lab: Lab) -> None:
    model = _model(lab, lab.scale.seeds[0])
    net = model.classifier()
    chosen = cases(model.dataset, [net], 8)
    case = next((c for c in chosen if int(net.scores(c.start.to_bgr())[0].argmax()) == c.label), chosen[0])
    result = gradient(net, case.start, Criterion(case.target), seed=CASE_SEED)
    start, fooling = (image.to_bgr().array.reshape(BANDS, SIDE) for image in (case.start, result.image))
    shown = [
        (f"“{WORDS[case.label]}”", case.start, start),
        ("difference", None, fooling - start),
        (f"heard as “{WORDS[case.target]}”", result.image, fooling),
    ]
    with styled():
        canvas = Figure(figsize=(10, 4), layout="constrained")
        for axes, (title, image, values) in zip(canvas.subplots(1, 3, sharey=True), shown):
            if image is None:
                limit = float(np.abs(values).max()) or 1.0
                picture = axes.imshow(values, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit)
                canvas.colorbar(picture, ax=axes).set_label("grey levels")
            else:
                axes.imshow(values, origin="lower", aspect="auto", cmap="magma", vmin=0, vmax=255)
                best = net.probabilities(image.to_bgr())[0]
                title += f"\n{WORDS[int(best.argmax())]} {100 * best.max():.0f} %"
            axes.set_title(title, fontsize=10)
            axes.set(xlabel="part of the word (of 64)", ylabel="frequency band (of 192, 43 Hz each)")
            axes.grid(visible=False)
    lab.figure(
        "speech",
        canvas,
        "A spoken word, what is added, and what it is heard as",
        f"Three spectrograms: {WORDS[case.label]}, a faint difference, and the sum, heard as {WORDS[case.target]}; the "
        f"mean change is {result.distances.mean:.1f} of 255 levels.",
        "one word of the validation",
        f"voices {SEED}, training {lab.scale.seeds[0]}, target {CASE_SEED}",
    )
