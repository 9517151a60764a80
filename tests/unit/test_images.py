from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import BgrPixels, Rgb8, noise, read_image, resize, write_png

images = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 7), st.just(3)))


@settings(derandomize=True, deadline=None)
@given(images)
def test_bgr_and_back_is_the_identity(pixels: np.ndarray) -> None:
    image = Rgb8(pixels)
    assert np.array_equal(image.to_bgr().to_rgb8().array, pixels)
    assert np.array_equal(image.to_bgr().array[0], pixels[:, :, 2])  # blue first


@settings(derandomize=True, deadline=None)
@given(arrays(np.float32, (3, 5, 4), elements=st.floats(-300, 600, width=32)))
def test_rounding_goes_to_the_nearest_level_in_the_box(pixels: np.ndarray) -> None:
    levels = BgrPixels(pixels).to_rgb8().to_bgr().array
    assert levels.min() >= 0
    assert levels.max() <= 255
    assert np.abs(levels - np.clip(pixels, 0, 255)).max() <= 0.5
    assert np.array_equal(BgrPixels(pixels).clipped().to_rgb8().to_bgr().array, levels)


def test_a_png_is_what_was_written(tmp_path) -> None:
    image = noise(7, 5, seed=2)
    write_png(tmp_path / "a" / "x.png", image)
    assert np.array_equal(read_image(tmp_path / "a" / "x.png").array, image.array)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.png"]


def test_noise_is_seeded_and_covers_the_range() -> None:
    assert np.array_equal(noise(64, 48, 5).array, noise(64, 48, 5).array)
    assert not np.array_equal(noise(64, 48, 5).array, noise(64, 48, 6).array)
    assert {0, 255} <= set(noise(64, 48, 5).array.ravel().tolist())


RED = np.zeros((6, 4, 3), np.uint8) + np.array([250, 10, 30], np.uint8)


def test_grey_is_repeated(tmp_path) -> None:
    Image.fromarray(np.arange(24, dtype=np.uint8).reshape(6, 4)).save(tmp_path / "g.png")
    array = read_image(tmp_path / "g.png").array
    assert array.shape == (6, 4, 3)
    assert np.array_equal(array[:, :, 0], np.arange(24).reshape(6, 4))
    assert np.array_equal(array[:, :, 0], array[:, :, 2])


def test_cmyk_becomes_rgb(tmp_path) -> None:
    Image.fromarray(RED).convert("CMYK").save(tmp_path / "c.jpg", quality=100)
    assert np.abs(read_image(tmp_path / "c.jpg").array.astype(int) - RED).max() <= 6


def test_alpha_lies_over_white(tmp_path) -> None:
    rgba = np.dstack([RED, np.full((6, 4), 0, np.uint8)])
    rgba[0, 0, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "a.png")
    array = read_image(tmp_path / "a.png").array
    assert array[0, 0].tolist() == [250, 10, 30]
    assert array[5, 3].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled(tmp_path) -> None:
    deep = np.array([[0, 257, 65535], [32896, 5140, 771]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "d.png")
    assert read_image(tmp_path / "d.png").array[:, :, 1].tolist() == [[0, 1, 255], [128, 20, 3]]


def test_exif_rotation_is_applied(tmp_path) -> None:
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = 255  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to show it
    Image.fromarray(pixels).save(tmp_path / "r.jpg", exif=exif, quality=100)
    array = read_image(tmp_path / "r.jpg").array
    assert array.shape == (16, 8, 3)
    assert array[:6].mean() > 250
    assert array[-6:].mean() < 5


def test_palette_and_animation(tmp_path) -> None:
    frames = [Image.fromarray(RED).convert("P"), Image.new("P", (4, 6))]
    frames[0].save(tmp_path / "p.gif", save_all=True, append_images=frames[1:])
    assert np.abs(read_image(tmp_path / "p.gif").array.astype(int) - RED).max() <= 51  # the web palette has steps of 51


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.jpg", b"", "is empty"),
        ("text.jpg", b"no image at all", "no image that can be read"),
        ("cut.png", None, "cannot be decoded"),
    ],
)
def test_bad_files_are_named(tmp_path, name: str, content: bytes | None, said: str) -> None:
    path = tmp_path / name
    if content is None:
        Image.fromarray(noise(40, 30, 1).array).save(path)
        content = path.read_bytes()[:900]
    path.write_bytes(content)
    with pytest.raises(FoolCaffeError, match=f"{name}.*{said}"):
        read_image(path)


def test_a_truncated_jpeg_is_refused(tmp_path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(noise(64, 48, 1).array).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(FoolCaffeError, match=r"cut\.jpg cannot be decoded"):
        read_image(path)


def test_a_bomb_is_refused_by_its_header(tmp_path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (20000, 20000)).save(path)
    with pytest.raises(FoolCaffeError, match="400000000 pixels"):
        read_image(path)


def test_missing_and_folder(tmp_path) -> None:
    with pytest.raises(FoolCaffeError, match="no image at"):
        read_image(tmp_path / "none.png")
    with pytest.raises(FoolCaffeError, match="is a folder"):
        read_image(tmp_path)


def test_resize_squashes_and_keeps_a_flat_image(tmp_path) -> None:
    assert np.array_equal(resize(Rgb8(RED), 5, 9).array, np.broadcast_to(RED[0, 0], (5, 9, 3)))
    same = Rgb8(RED)
    assert resize(same, 6, 4) is same


def test_types_refuse_another_layout() -> None:
    with pytest.raises(ValueError, match="Rgb8"):
        Rgb8(np.zeros((3, 4, 5), np.uint8))
    with pytest.raises(ValueError, match="BgrPixels"):
        BgrPixels(np.zeros((4, 5, 3), np.float32))
