"""Defences: their gradients are those of what they compute, the worst letters are the worst, a camera is a camera."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from foolcaffe.attacks.pgd import pgd
from foolcaffe.classifier import Classifier
from foolcaffe.evaluate import evaluate
from foolcaffe.images import Rgb8
from foolcaffe.study.common import lead_error, mean, monotone, neighbours
from foolcaffe.study.parts.camera import _projected, photograph
from foolcaffe.study.parts.mitigations import letters
from foolcaffe.study.parts.mitigations.defences import blurred, blurring, cropped, cropping, noised
from helpers import Road

RNG = np.random.default_rng(5)


def test_a_blur_and_a_crop_keep_a_constant_image() -> None:
    for matrix in (blurring(11, 1.5), cropping(11, 2, 7), cropping(11, 0, 11)):
        assert np.abs(matrix.sum(axis=1) - 1).max() <= 1e-5
    assert np.allclose(cropping(11, 0, 11), np.eye(11))


def test_a_crop_stretches_what_it_cuts() -> None:
    ramp = np.arange(12.0)
    stretched = cropping(12, 3, 6) @ ramp
    assert stretched.min() >= 3
    assert stretched.max() <= 8
    assert np.all(np.diff(stretched) >= 0)
    assert np.allclose(np.diff(stretched)[1:-1], 0.5)


@pytest.fixture
def net(road: Road) -> Classifier:
    from foolcaffe.trained import find_trained

    return find_trained(str(road.model)).classifier()


@pytest.mark.parametrize("kind", ["blur", "noise", "crops"])
def test_the_gradient_of_a_defence_is_that_of_its_scores(net: Classifier, kind: str) -> None:
    defended = {
        "blur": lambda: blurred(net, 1.5),
        "noise": lambda: noised(net, 30.0, 3, np.random.default_rng(2)),
        "crops": lambda: cropped(net, 0.75),
    }[kind]()
    images = RNG.uniform(100, 140, (2, *net.shape)).astype(np.float32)
    diffs = RNG.normal(size=(2, net.classes)).astype(np.float32)
    gradient = defended.data_gradients(images, diffs)
    assert gradient.shape == images.shape
    step = 0.5 * np.sign(gradient)
    up, down = defended.scores(images + step), defended.scores(images - step)
    measured = ((up - down).astype(np.float64) * diffs).sum(axis=1) / 2
    expected = (gradient.astype(np.float64) * step).sum(axis=(1, 2, 3))
    assert np.abs(measured - expected).max() <= 0.03 * np.abs(expected).max()


@pytest.mark.parametrize(("norm", "radius"), [("linf", 6.5), ("l2", 400.0)])
def test_a_climb_stays_in_its_ball_and_gains(net: Classifier, norm: str, radius: float) -> None:
    rng = np.random.default_rng(3)
    images = np.rint(rng.uniform(0, 255, (4, *net.shape))).astype(np.float32)
    targets = np.array([2, 0, 1, 3])
    radii = radius * np.array([1.0, 0.5, 1.0, 2.0])
    found = pgd(net, images, targets, radii, norm, 6)
    assert np.array_equal(found, np.rint(found))
    assert found.min() >= 0
    assert found.max() <= 255
    flat = (found - images).reshape(4, -1).astype(np.float64)
    size = np.abs(flat).max(axis=1) if norm == "linf" else np.linalg.norm(flat, axis=1)
    assert np.all(size <= (radii if norm == "linf" else np.hypot(radii, np.sqrt(flat.shape[1] / 12))))
    assert np.all(size >= 0.4 * radii)
    noise = (
        rng.choice([-1.0, 1.0], images.shape)
        * (size / np.sqrt(flat.shape[1]) if norm == "l2" else size)[:, None, None, None]
    )
    noisy = np.clip(images + noise, 0, 255).astype(np.float32)
    own, by_noise, before = (net.probabilities(x)[np.arange(4), targets] for x in (found, noisy, images))
    assert np.all(own >= before)
    assert np.all(np.log(own) - np.log(before) >= 3 * np.abs(np.log(by_noise) - np.log(before)))


def test_a_climb_goes_through_a_defence(net: Classifier) -> None:
    """An attack that knows the blur fools the blurred net where one on the bare net of that size fools it less."""
    images = np.rint(RNG.uniform(90, 160, (12, *net.shape))).astype(np.float32)
    targets = (net.probabilities(images).argmax(axis=1) + 1) % net.classes
    soft, every = blurred(net, 2.0), np.arange(12)
    bare, knowing = (pgd(known, images, targets, 300.0, "l2", 8) for known in (net, soft))
    assert soft.probabilities(knowing)[every, targets].mean() > soft.probabilities(bare)[every, targets].mean()
    assert net.probabilities(bare)[every, targets].mean() > net.probabilities(knowing)[every, targets].mean()


def test_the_worst_letters_are_the_worst() -> None:
    """Against every corner of the box, on few enough pixels."""
    pixels, classes = 6, 3
    net = letters.Linear(RNG.normal(size=(classes, pixels)), RNG.normal(size=classes))
    grey = RNG.integers(0, 256, (4, pixels)).astype(np.float64)
    labels = net.scores(grey).argmax(axis=1)
    eps = 90.0
    for worst, see in ((letters.worst_linear, lambda g: g), (letters.worst_binarized, letters.binarized)):
        found = worst(net, grey, labels, eps)
        assert np.abs(found - grey).max() <= eps
        assert found.min() >= 0
        assert found.max() <= 255
        for image, start, label in zip(found, grey, labels):
            low, high = np.maximum(start - eps, 0), np.minimum(start + eps, 255)
            corners = np.array([np.where(c, high, low) for c in product([True, False], repeat=pixels)])

            def lead(images: np.ndarray, label: int = label, see=see) -> np.ndarray:
                scores = net.scores(see(images))
                return np.delete(scores, label, axis=1).max(axis=1) - scores[:, label]

            assert lead(image[None])[0] >= lead(corners).max() - 1e-9


def test_letters_are_text() -> None:
    grey, labels = letters.letters()
    assert grey.shape == (3120, 576)
    assert np.array_equal(grey, np.rint(grey))
    assert (grey.min(), grey.max()) == (0, 255)
    assert np.bincount(labels).tolist() == [120] * 26
    black = letters.binarized(grey) == 0
    assert 0.05 < black.mean() < 0.4  # ink on paper
    assert (np.abs(grey - letters.THRESHOLD) < 32).mean() < 0.08  # hardly anything is neither
    half = black.reshape(-1, 24, 24)[labels == letters.LETTERS.index("L")]
    assert half[:, :, :12].sum() > 1.5 * half[:, :, 12:].sum()  # an L has its stem at the left
    assert np.array_equal(letters.letters()[0], grey)


@pytest.mark.parametrize("kind", [letters.RbfNetwork, letters.ReluNetwork])
def test_a_network_learns_letters_and_its_gradient_is_right(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "CENTRES", 130)
    monkeypatch.setattr(letters, "HIDDEN", 60)
    grey, labels = letters.letters()
    net = kind(grey[:1040], labels[:1040], seed=3)
    x, y = grey[letters.TRAINING :][:130], labels[letters.TRAINING :][:130]
    assert (net.probabilities(x).argmax(axis=1) == y).mean() > 0.8  # of few bumps and few letters

    def lead(images: np.ndarray) -> np.ndarray:
        logs = np.log(net.probabilities(images))
        own = logs[np.arange(len(y)), y].copy()
        logs[np.arange(len(y)), y] = -np.inf
        return logs.max(axis=1) - own

    gradient = net.gradients(x, y)
    step = 0.01 * np.sign(gradient)
    measured, expected = (lead(x + step) - lead(x - step)) / 2, (gradient * step).sum(axis=1)
    assert np.median(np.abs(measured - expected)) <= 1e-3 * np.abs(expected).max()
    worst = letters.worst_smooth(net, x[:50], y[:50], 24.0, np.random.default_rng(0))
    assert np.abs(worst - x[:50]).max() <= 24
    assert np.array_equal(worst, np.rint(worst))
    clean = (net.probabilities(x[:50]).argmax(axis=1) == y[:50]).mean()
    assert (net.probabilities(worst).argmax(axis=1) == y[:50]).mean() < clean - 0.2


def test_a_photograph_looks_like_the_picture() -> None:
    y, x = np.mgrid[:48, :40]
    picture = Rgb8(np.stack([4 * x + 40, 3 * y + 60, 255 - 4 * x], axis=2).astype(np.uint8))
    first = photograph(picture, np.random.default_rng(1))
    again = photograph(picture, np.random.default_rng(1))
    other = photograph(picture, np.random.default_rng(2))
    assert first.size == picture.size
    assert np.array_equal(first.array, again.array)
    assert not np.array_equal(first.array, other.array)
    inner = (slice(6, -6), slice(6, -6))
    a, b = picture.array[inner].astype(float), first.array[inner].astype(float)
    assert 0.5 < np.abs(a - b).mean() < 30
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.97


def test_smoothness_tells_noise_from_a_ramp() -> None:
    noise = RNG.normal(size=(4, 3, 30, 26)).astype(np.float32)
    ramp = np.broadcast_to(np.arange(26, dtype=np.float32), (4, 3, 30, 26))
    assert abs(neighbours(noise)) < 0.05
    assert neighbours(np.array(ramp)) > 0.9
    assert neighbours(np.zeros((2, 3, 7, 5), np.float32)) == 0


def test_a_step_down_or_nothing_is_not_monotone() -> None:
    assert monotone([1.0, 1.5, 3.0]) == pytest.approx(0.5)
    assert monotone([1.0, 0.9, 3.0]) < 0
    assert not monotone([1.0, float("nan")]) > 0


def test_a_spectrogram_shows_where_a_tone_is() -> None:
    from foolcaffe.study.parts.speech import BANDS, SIDE, WINDOW, spectrogram

    rate, wanted = 22050, 100
    time = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * (wanted + 1) * rate / WINDOW * time)
    found = spectrogram(rate, tone)
    assert found.shape == (3, SIDE, SIDE)
    bands = found.reshape(BANDS, SIDE)[:, 8:-8]
    assert set(bands.argmax(axis=0).tolist()) == {wanted}
    assert bands[wanted].min() > 250
    assert bands[: wanted - 20].max() < 60


def test_a_spoken_word_is_a_dataset(engine: str, tmp_path: Path) -> None:
    from caffefiles.datum import DatumLMDB
    from caffefiles.mean import read_mean
    from foolcaffe.study.parts.speech import ESPEAK, WORDS, spoken

    if shutil.which(ESPEAK) is None:
        pytest.skip(f"no {ESPEAK}: apt install {ESPEAK}")
    folder = spoken(tmp_path / "words", 2)
    with DatumLMDB(folder / "train_lmdb") as records:
        seen = list(records)
    assert sorted(r.label for r in seen) == sorted(list(range(len(WORDS))) * 2)
    assert all(r.key.endswith(WORDS[r.label]) for r in seen)
    assert min(int(r.pixels.max()) for r in seen) > 240
    assert read_mean(folder / "mean.binaryproto").shape == (3, 64, 64)


def test_what_lies_at_the_old_corners_comes_to_lie_at_the_new_ones() -> None:
    """Interpolation is exact in images whose values are the coordinates."""
    old = np.array([[5.0, 4.0], [50.0, 6.0], [47.0, 33.0], [6.0, 30.0]])
    new = np.array([[3.0, 1.0], [44.0, 0.0], [52.0, 35.0], [7.0, 29.0]])
    y, x = np.mgrid[0:40, 0:60].astype(np.float64)
    for axis, values in enumerate((x, y)):
        moved = _projected(values, new, old)
        found = [moved[int(v), int(u)] for u, v in new]
        assert np.abs(np.array(found) - old[:, axis]).max() <= 1e-3


def test_a_lead_is_judged_on_the_same_images() -> None:
    """Two models that differ on four of a hundred images: the error is theirs, not that of two independent samples."""
    a = "1" * 30 + "0" * 70
    b = "1" * 26 + "0" * 74
    each = np.array([float(x) - float(y) for x, y in zip(a, b)])
    assert lead_error([a], [b]) == pytest.approx(each.std(ddof=1) / 10)
    assert lead_error([a], [b]) < 0.5 * np.sqrt(0.3 * 0.7 / 100 + 0.26 * 0.74 / 100)
    assert lead_error([a, b], [b]) > lead_error([a, a], [b])  # runs that differ add theirs
    assert np.isnan(mean([]))


def test_hits_are_what_the_net_gets_right(road: Road) -> None:
    from caffefiles.datum import DatumLMDB

    class ByCorner:
        """Takes an image for the class that its first grey level leaves over."""

        shape, classes = (3, 64, 64), 5

        def scores(self, images: np.ndarray) -> np.ndarray:
            return np.eye(5)[images[:, 0, 0, 0].astype(int) % 5]

    with DatumLMDB(road.dataset / "train_lmdb") as records:
        expected = "".join(str(int(int(r.pixels[0, 0, 0]) % 5 == r.label)) for r in records)
    assert evaluate(ByCorner(), road.dataset / "train_lmdb", quiet=True).hits == expected  # type: ignore[arg-type]
    assert {"0", "1"} == set(expected)
    assert len(expected) == 300
