"""Decoding in workers: limits, deaths, antialiasing; reading databases; memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from PIL import Image

from caffefiles import datum
from foolcaffe.archives.sources import BadImage
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb import plan
from foolcaffe.lmdb.decode import Decoder
from foolcaffe.lmdb.pool import Pool
from foolcaffe.lmdb.reader import Reader
from foolcaffe.lmdb.shard import How, build
from lmdbs import zoo
from lmdbs.tools import command, environment, records, run


def slow_png(side: int) -> bytes:
    draw = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return zoo.saved(Image.fromarray(draw), "PNG", compress_level=1)


def test_an_image_that_takes_too_long_is_rejected(tmp_path: Path) -> None:
    images = {"a.JPEG": zoo.jpeg(zoo.photo(30, 41)), "slow.png": slow_png(3000), "b.JPEG": zoo.jpeg(zoo.photo(44, 29))}
    listing = zoo.folder(tmp_path / "i", images)
    made = plan.make(tmp_path / "plan", plan.asked(str(tmp_path / "i"), listing, plan.Settings(), 1))
    with Pool(made.folder, made.settings, 1, cpu_seconds=0.03) as pool:
        report = build(made, 0, tmp_path / "shard", How(skip_bad=True, quiet=True), pool)
    assert [(r["path"], r["reason"]) for r in report["rejected"]] == [("slow.png", "decoding took more than 0.03 s")]
    assert [k for k, _ in records(tmp_path / "shard")] == [b"00000000_a.JPEG", b"00000002_b.JPEG"]


def test_pixel_limit_is_the_users(tmp_path: Path) -> None:
    listing = zoo.folder(tmp_path / "i", {"a.JPEG": zoo.jpeg(zoo.photo(30, 41))})
    said = run("build", tmp_path / "i", listing, tmp_path / "db", "--max-pixels", 1229, expect=1).stderr
    assert "41 × 30 pixels, more than the limit of 1229" in said
    run("build", tmp_path / "i", listing, tmp_path / "db2", "--max-pixels", 1230)


def test_results_come_in_order(tmp_path: Path) -> None:
    images = {
        f"{i}.JPEG": zoo.jpeg(zoo.photo(900 if i % 5 == 0 else 9, 700 if i % 7 == 0 else 8, seed=i)) for i in range(40)
    }
    listing = zoo.folder(tmp_path / "i", images)
    made = plan.make(tmp_path / "plan", plan.asked(str(tmp_path / "i"), listing, plan.Settings(5, 6), 1))
    with Pool(made.folder, made.settings, 3) as pool:
        labels = []
        for chunk in pool.run([(7, 9), (0, 5), (20, 40)], 27):
            assert chunk.size == 1
            for key, value in chunk.items:
                assert bytes(key) == b"%08d_%d.JPEG" % (chunk.first, chunk.first)
                labels.append(datum.parse(value).label)
    assert labels == [7, 8, *range(5), *range(20, 40)]


def test_area_averages_where_linear_picks(tmp_path: Path) -> None:
    """Stripes of one pixel: averaged to grey by area, aliased by Caffe's resize. Small images are enlarged as ever."""
    stripes = np.zeros((330, 410, 3), np.uint8)
    stripes[:, ::2] = 254
    data = zoo.saved(Image.fromarray(stripes), "PNG")
    area, _ = Decoder(32, 48, area=True).decode(data)
    linear, _ = Decoder(32, 48).decode(data)
    assert int(np.abs(area.astype(int) - 127).max()) <= 8
    assert int(np.ptp(linear.astype(int))) >= 60
    photo = np.asarray(Image.fromarray(zoo.photo(30, 40)).resize((1100, 900), Image.Resampling.BICUBIC))
    reduced, _ = Decoder(32, 48, area=True).decode(zoo.jpeg(photo, quality=98))
    exact = cv2.resize(photo[..., ::-1], (48, 32), interpolation=cv2.INTER_AREA)
    assert float(np.abs(reduced.astype(int) - exact).mean()) <= 2.5
    small = zoo.saved(Image.fromarray(zoo.photo(20, 31)), "PNG")
    assert np.array_equal(Decoder(32, 48, area=True).decode(small)[0], Decoder(32, 48).decode(small)[0])


def test_area_builds(tmp_path: Path) -> None:
    listing = zoo.many(tmp_path / "i", 12)
    run("build", tmp_path / "i", listing, tmp_path / "db", "--resize", "area", "--size", 16)
    run("build", tmp_path / "i", listing, tmp_path / "linear", "--size", 16)
    assert records(tmp_path / "db") != records(tmp_path / "linear")
    run("validate", tmp_path / "db", listing)


@pytest.mark.parametrize("name", sorted(zoo.bad()))
def test_bad_bytes_never_raise_anything_else(name: str) -> None:
    data, reason = zoo.bad()[name]
    with pytest.raises(BadImage, match=reason):
        Decoder(64, 64).decode(data)


def test_damaged_bytes_never_raise_anything_else() -> None:
    """2,000 damaged copies: decoded, or rejected with a reason."""
    draw = np.random.default_rng(8)
    originals = list(zoo.good().values())
    outcome = {True: 0, False: 0}
    for _ in range(2000):
        data = bytearray(originals[draw.integers(len(originals))])
        for _ in range(draw.integers(1, 6)):
            data[draw.integers(min(len(data), 400 if draw.random() < 0.5 else len(data)))] = draw.integers(256)
        try:
            pixels, _ = Decoder(19, 23, max_pixels=1 << 20).decode(bytes(data))
            assert pixels.shape == (19, 23, 3)
            outcome[True] += 1
        except BadImage as error:
            assert str(error)  # noqa: PT017 - most copies raise, some do not
            outcome[False] += 1
    assert min(outcome.values()) > 100, outcome


def test_warnings_are_told(tmp_path: Path) -> None:
    data = bytearray(zoo.jpeg(zoo.photo(90, 120)))
    data[len(data) // 2 : len(data) // 2 + 2] = b"\xff\xd3"
    listing = zoo.folder(tmp_path / "i", {"hurt.JPEG": bytes(data), "fine.JPEG": zoo.jpeg(zoo.photo(44, 29))})
    run("build", tmp_path / "i", listing, tmp_path / "db")
    assert (tmp_path / "db" / "warnings.txt").read_text().startswith("hurt.JPEG\tCorrupt JPEG data")
    assert (tmp_path / "db" / "bad_images.txt").read_text() == ""
    assert json.loads((tmp_path / "db" / "report.json").read_text())["decoders"]["opencv"] == cv2.__version__


def test_reader(tmp_path: Path) -> None:
    listing = zoo.many(tmp_path / "i", 23)
    run("build", tmp_path / "i", listing, tmp_path / "db", "--resize_height", 5, "--resize_width", 7)
    expected = records(tmp_path / "db")
    (tmp_path / "db").chmod(0o555)
    with Reader(tmp_path / "db") as reader:
        assert len(reader) == 23
        assert [(k, bytes(v)) for k, v in reader.items()] == expected
        assert [k for k, _ in reader.items(b"00000020")] == [k for k, _ in expected[20:]]
        assert reader.keys == [k for k, _ in expected]
        assert reader[13].label == 13 % 7
        assert reader[13].pixels.shape == (3, 5, 7)
        with pytest.raises(FoolCaffeError, match=r"no record 23.*\n.*expected 0\.\.22"):
            reader[23]
    assert not (tmp_path / "db" / "lock.mdb").exists()
    with pytest.raises(FoolCaffeError, match="no LMDB at"):
        Reader(tmp_path)


def test_reader_goes_on_after_dropping_its_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = zoo.many(tmp_path / "i", 23)
    run("build", tmp_path / "i", listing, tmp_path / "db", "--size", 4)
    monkeypatch.setattr("foolcaffe.lmdb.reader._REMAP_EVERY", 5)
    expected = records(tmp_path / "db")
    with Reader(tmp_path / "db") as reader:
        assert [(k, bytes(v)) for k, v in reader.items()] == expected


def peak(arguments: list[str]) -> int:
    """Peak of the resident memory of a command and its children, in MiB; shared memory counts once for each."""
    process = subprocess.Popen(arguments, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        try:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
            most = max(most, sum(p.memory_info().rss for p in family))
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.01)
    assert process.returncode == 0
    return most >> 20


@pytest.mark.slow
def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    peaks = {}
    for count in (5_000, 50_000):
        listing = zoo.many(tmp_path / f"i{count}", count)
        database = tmp_path / f"db{count}"
        peaks[count] = peak(command("build", tmp_path / f"i{count}", listing, database, "--quiet", "--workers", 2))
    assert peaks[50_000] <= 1.25 * peaks[5_000], peaks


def test_reading_back_goes_on_when_workers_are_killed(tmp_path: Path) -> None:
    listing = zoo.many(tmp_path / "i", 90)
    made = plan.make(tmp_path / "plan", plan.asked(str(tmp_path / "i"), listing, plan.Settings(5, 6), 1))
    with Pool(made.folder, made.settings, 2) as pool:
        build(made, 0, tmp_path / "shard", How(quiet=True), pool)
        for pid in pool.pids:
            os.kill(pid, signal.SIGKILL)
        assert list(pool.read_back(tmp_path / "shard", 90)) == [(45, []), (45, [])]
        crc = bytearray((tmp_path / "shard" / "crc32").read_bytes())
        crc[4 * 61] ^= 1
        (tmp_path / "shard" / "crc32").write_bytes(crc)
        (_, first), (_, second) = pool.read_back(tmp_path / "shard", 90)
    assert first == []
    assert [w.partition("_")[0] for w in second] == ["record 00000061"]
