"""Decoding in workers: limits, deaths, antialiasing; reading databases; memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import lmdb
import numpy as np
import psutil
import pytest
from PIL import Image

from caffefiles.datum import DatumLMDB, parse_datum
from caffefiles.lmdb_reader import LmdbReader
from foolcaffe.archives.sources import BadImage
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb import plan
from foolcaffe.lmdb.decode import Decoder
from foolcaffe.lmdb.pool import Pool
from foolcaffe.lmdb.shard import Options, build
from lmdbs import zoo
from lmdbs.tools import command, environment, records, run


def slow_png(side: int) -> bytes:
    draw = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return zoo.saved(Image.fromarray(draw), "PNG", compress_level=1)


def test_an_image_that_takes_too_long_is_rejected(tmp_path: Path) -> None:
    images = {"a.JPEG": zoo.jpeg(zoo.photo(30, 41)), "slow.png": slow_png(3000), "b.JPEG": zoo.jpeg(zoo.photo(44, 29))}
    listing = zoo.folder(tmp_path / "i", images)
    made = plan.make(tmp_path / "plan", plan.request(str(tmp_path / "i"), listing, plan.Settings(), 1))
    with Pool(made.folder, made.settings, 1, cpu_seconds=0.03) as pool:
        report = build(made, 0, tmp_path / "shard", Options(skip_bad=True, quiet=True), pool)
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
    made = plan.make(tmp_path / "plan", plan.request(str(tmp_path / "i"), listing, plan.Settings(5, 6), 1))
    with Pool(made.folder, made.settings, 3) as pool:
        labels = []
        for chunk in pool.run([(7, 9), (0, 5), (20, 40)], 27):
            assert chunk.size == 1
            for key, value in chunk.items:
                assert bytes(key) == b"%08d_%d.JPEG" % (chunk.first, chunk.first)
                labels.append(parse_datum(value).label)
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
    reader = LmdbReader(tmp_path / "db")
    assert len(reader) == reader.count == 23
    assert [(k, bytes(v)) for k, v in reader.once()] == expected
    assert [k for k, _ in reader.once(b"00000020")] == [k for k, _ in expected[20:]]
    assert [k for k, _ in reader.once(b"99")] == []
    for position in (0, 7, 22):
        assert (reader.at(position)[0], bytes(reader.at(position)[1])) == expected[position]
    with DatumLMDB(tmp_path / "db") as images:
        assert images.record(13).label == 13 % 7
        assert images.record(13).pixels.shape == (3, 5, 7)
    with pytest.raises(FoolCaffeError, match=r"no record 23\n.*expected 0\.\.22"):
        reader.at(23)
    assert not (tmp_path / "db" / "lock.mdb").exists()
    with pytest.raises(FoolCaffeError, match="no LMDB at"):
        LmdbReader(tmp_path)


def test_reader_from_every_key_of_a_tree_of_three_levels(tmp_path: Path) -> None:
    expected = [(b"%05d_%s" % (i, b"k" * (i % 200)), b"v" * (i % 700)) for i in range(3000)]
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 26) as environment:
        with environment.begin(write=True) as transaction:
            for key, value in expected:
                transaction.put(key, value)
        assert environment.stat()["depth"] == 3
    reader = LmdbReader(tmp_path / "db")
    for position in range(0, 3000, 97):
        key = expected[position][0]
        assert next(reader.once(key))[0] == key
        assert next(reader.once(key[:5]))[0] == key
        assert reader.at(position)[0] == key
    assert len(list(reader.once(expected[-60][0]))) == 60


def peak(arguments: list[str], code: int = 0) -> int:
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
    assert process.returncode == code
    return most >> 20


@pytest.mark.slow
def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    peaks = {}
    for count in (5_000, 50_000):
        listing = zoo.many(tmp_path / f"i{count}", count)
        database = tmp_path / f"db{count}"
        peaks[count] = peak(command("build", tmp_path / f"i{count}", listing, database, "--quiet", "--workers", 2))
    assert peaks[50_000] <= 1.25 * peaks[5_000], peaks


@pytest.mark.slow
def test_a_long_list_costs_little_memory(tmp_path: Path) -> None:
    """300,000 lines may cost 24 MiB, 80 bytes a line, on every station that reads lists."""
    (tmp_path / "i").mkdir()
    (tmp_path / "short.txt").write_text("n00000000/image_of_some_class_0.JPEG 0\n")
    lines = (f"n{i % 1000:08d}/image_of_some_class_{i}.JPEG {i % 1000}\n" for i in range(300_000))
    (tmp_path / "long.txt").write_text("".join(lines))
    listed = {}
    for name in ("short", "long"):
        listing = tmp_path / f"{name}.txt"
        database = tmp_path / f"db-{name}"
        with lmdb.open(str(database), map_size=1 << 26) as env, env.begin(write=True) as txn:
            txn.put(b"0", b"no Datum")
        checks = {
            "check": [sys.executable, "-m", "foolcaffe.lists", "--check", str(listing)],
            "plan": command("plan", tmp_path / "i", listing, tmp_path / name, "--skip-bad", "--shuffle", 1),
            "validate": command("validate", database, listing),
        }
        listed[name] = {what: peak(check, code=int(what == "validate")) for what, check in checks.items()}
    growth = {what: listed["long"][what] - listed["short"][what] for what in listed["long"]}
    assert max(growth.values()) <= 24, growth


def test_reading_back_goes_on_when_workers_are_killed(tmp_path: Path) -> None:
    listing = zoo.many(tmp_path / "i", 90)
    made = plan.make(tmp_path / "plan", plan.request(str(tmp_path / "i"), listing, plan.Settings(5, 6), 1))
    with Pool(made.folder, made.settings, 2) as pool:
        build(made, 0, tmp_path / "shard", Options(quiet=True), pool)
        for pid in pool.pids:
            os.kill(pid, signal.SIGKILL)
        assert list(pool.read_back(tmp_path / "shard", 90)) == [(45, []), (45, [])]
        crc = bytearray((tmp_path / "shard" / "crc32").read_bytes())
        crc[4 * 61] ^= 1
        (tmp_path / "shard" / "crc32").write_bytes(crc)
        (_, first), (_, second) = pool.read_back(tmp_path / "shard", 90)
    assert first == []
    assert [w.partition("_")[0] for w in second] == ["record 00000061"]
