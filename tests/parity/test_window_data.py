"""WindowData: what is refused, and where a window may land. Its batches beside real Caffe's: test_data_layers.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchcaffe
from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from torchcaffe.data.windows import place, read_window_file
from torchcaffe.pycaffe import TRAIN, Net

NET = (
    'layer { name: "w" type: "WindowData" top: "data" top: "label" window_data_param { source: "windows" '
    "batch_size: 4 cache_images: false context_pad: 0 } transform_param { crop_size: 7 } }"
)
GOOD = "# 0\na.png\n3 11 13\n2\n5 0.75 1 2 9 8\n2 0.25 0 0 12 10\n# 1\nb.png\n3 10 12\n1\n4 0.5 3 3 3 3\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    for name, shape in (("a", (11, 13, 3)), ("b", (10, 12, 3))):
        cv2.imwrite(f"{name}.png", random.integers(0, 256, shape, np.uint8))
    (tmp_path / "windows").write_text(GOOD)
    for name, shape in (("small", (3, 6, 9)), ("grey", (1, 8, 8))):
        mean = caffe_pb2.BlobProto(num=1, channels=shape[0], height=shape[1], width=shape[2])
        mean.data.extend([1.0] * int(np.prod(shape)))
        (tmp_path / f"{name}.mean").write_bytes(mean.SerializeToString())
    return tmp_path


def forward(net: str = NET) -> Any:
    Path("net.prototxt").write_text(net)
    torchcaffe.common.set_random_seed(2)
    made = Net("net.prototxt", TRAIN)
    made.forward()
    return made


def test_the_good_file_is_good(folder: Path) -> None:
    net = forward()
    assert net.blobs["data"].data.shape == (4, 3, 7, 7)
    assert list(net.blobs["label"].data[:3]) == [0, 0, 0]
    assert net.blobs["label"].data[3] in (4, 5)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (GOOD, "", "the window file 'windows' is empty"),
        ("# 0", "#0", r"windows:1: '#0' where an image's `# index` was expected"),
        ("# 0", "# x", "windows:1: 'x' is no image index"),
        ("3 11 13", "3 11 1.3", "windows:3: '1.3' is no width"),
        ("\n2\n5", "\n1\n5", r"(?s)windows:6: '2' where an image's `# index` was .*is num_windows of"),
        ("\n2\n5", "\n3\n5", r"(?s)windows:7: '# 1 b.png 3 10 12' is no window.*class_index overlap x1 y1 x2 y2"),
        ("5 0.75", "5 0.7.5", "windows:5: '5 0.7.5 1 2 9 8' is no window"),
        ("0.25 0 0", "0.25 0 nan", "windows:6: '2 0.25 0 nan 12 10' is no window"),
        ("3 3 3 3", "3 3 3", "windows: the file ends where one of 1 windows was expected"),
        ("1 2 9 8", "1 2 9 8000000000", "windows:5: a number exceeds 32 bits"),
        ("5 0.75", "0 0.75", r"windows:5: a window of class 0 overlaps by 0.75, .*\(fg_threshold 0.5\)"),
        ("# 1", "# 2", r"windows:7: image index 2, but the file has 2 images"),
        ("3 10 12", "1 10 12", "'windows' says that its last image has 1 channels"),
        ("0.25", "0.5", "'windows' has no background windows, a batch takes 3"),
        (
            "0.25 0 0 12",
            "0.25 0 0 13",
            r"windows:6: the window \[0, 0, 13, 10\] lies outside 'a.png', which is 13 wide",
        ),
        ("0.25 0 0 12", "0.25 9 0 4", r"windows:6: the window \[9, 0, 4, 10\] lies outside"),
        ("a.png", "c.png", r"(?s)the image 'c.png' cannot be decoded.*in the window file 'windows'"),
    ],
)
def test_bad_window_files(folder: Path, old: str, new: str, said: str) -> None:
    assert GOOD.count(old) >= 1
    (folder / "windows").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(CaffeError, match=said) as caught:
        forward()
    assert "layer 'w' (WindowData): " in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('source: "windows"', 'source: "none"', "cannot use 'none': no such file"),
        ("crop_size: 7", "crop_size: 0", "crop_size must be positive"),
        ("batch_size: 4", "batch_size: 0", "batch_size must be positive"),
        ("context_pad: 0", "context_pad: 4", "context_pad 4 leaves nothing of a crop_size of 7"),
        ("context_pad: 0", "fg_fraction: 1.5", "fg_fraction 1.5 is no fraction"),
        ("context_pad: 0", "fg_fraction: -0.5", "fg_fraction -0.5 is no fraction"),
        ("context_pad: 0", "fg_threshold: 0.8", "has no foreground windows, a batch takes 1"),
        ("false", 'true root_folder: "no/"', "cannot use 'no/a.png': no such file"),
        ("crop_size: 7", 'crop_size: 7 mean_file: "small.mean"', r"the mean 'small.mean' has the shape \(3, 6, 9\)"),
        ("crop_size: 7", 'crop_size: 7 mean_file: "grey.mean"', r"(?s)the shape \(1, 8, 8\).*3 channels"),
        ("crop_size: 7", "crop_size: 7 mean_value: 1 mean_value: 2", "2 mean_value for 3 channels"),
        ("crop_size: 7", 'crop_size: 7 mean_value: 1 mean_file: "grey.mean"', "both mean_file and mean_value"),
    ],
)
def test_bad_parameters(folder: Path, old: str, new: str, said: str) -> None:
    assert NET.count(old) == 1
    with pytest.raises(CaffeError, match=said) as caught:
        forward(NET.replace(old, new))
    assert "layer 'w' (WindowData): " in str(caught.value)


def test_an_image_that_was_cached_is_not_read_again(folder: Path) -> None:
    Path("net.prototxt").write_text(NET.replace("cache_images: false", "cache_images: true"))
    net = Net("net.prototxt", TRAIN)
    for name in ("a.png", "b.png"):
        (folder / name).unlink()
    seen = []
    for _ in range(9):  # more than are read ahead
        net.forward()
        seen.append(net.blobs["data"].data.copy())
    assert all(np.ptp(batch) > 0 for batch in seen)


def test_where_lines_end_does_not_matter(folder: Path) -> None:
    lines = read_window_file("windows", 0.5, 0.5)
    (folder / "windows").write_text(" ".join(GOOD.split()))
    one = read_window_file("windows", 0.5, 0.5)
    for a, b in ((lines.foreground, one.foreground), (lines.background, one.background)):
        assert np.array_equal(a.boxes, b.boxes)
        assert np.array_equal(a.labels, b.labels)
        assert np.array_equal(a.images, b.images)
    assert list(lines.foreground.lines) == [5, 11]
    assert list(lines.foreground.images) == [0, 1]
    assert lines.background.boxes.tolist() == [[0, 0, 12, 10]]
    assert lines.background.labels.tolist() == [0]


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    corners=st.tuples(*[st.integers(-60, 160)] * 4),
    height=st.integers(1, 97),
    width=st.integers(1, 103),
    crop=st.integers(1, 40),
    data=st.data(),
    square=st.booleans(),
    mirror=st.booleans(),
)
def test_a_place_lies_in_the_image_and_in_the_crop(
    corners: tuple[int, ...], height: int, width: int, crop: int, data: Any, square: bool, mirror: bool
) -> None:
    pad = data.draw(st.integers(0, (crop - 1) // 2))
    at = place(corners, (height, width), crop, pad, square, mirror)
    if at is None:
        return
    assert 0 <= at.x1 <= at.x2 < width
    assert 0 <= at.y1 <= at.y2 < height
    assert at.width > 0
    assert at.height > 0
    assert 0 <= at.left <= crop - at.width
    assert 0 <= at.top <= crop - at.height


@settings(derandomize=True, deadline=None)
@given(side=st.integers(1, 30), x=st.integers(40, 60), y=st.integers(45, 65), pad=st.integers(0, 4))
def test_context_adds_its_pixels(side: int, x: int, y: int, pad: int) -> None:
    """A window well inside an image fills the crop, with its context: crop / (crop - 2 pad) as large on each axis."""
    crop = 20
    at = place((x, y, x + side - 1, y + side - 1), (150, 140), crop, pad, False, False)
    assert at is not None
    assert (at.width, at.height, at.left, at.top) == (crop, crop, 0, 0)
    grown = side * crop / (crop - 2 * pad)
    if pad:
        assert abs((at.x2 - at.x1) - grown) <= 1
        assert abs((at.y2 - at.y1) - grown) <= 1
    else:
        assert at.x2 - at.x1 == at.y2 - at.y1 == side - 1
