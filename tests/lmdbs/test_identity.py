"""The same bytes as real convert_imageset and compute_image_mean, which are run here and are the judge."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lmdbs import zoo
from lmdbs.tools import SAMPLES, TINY, caffe_tool, environment, real_convert, records, run, shared, stream_digest


def compare(root: Path, listing: Path, folder: Path, *flags: str) -> None:
    real_convert(root, listing, folder / "real", *flags)
    run("build", root, listing, folder / "ours", "--mean", folder / "ours.binaryproto", *flags)
    assert records(folder / "ours") == records(folder / "real")
    subprocess.run(
        [caffe_tool("compute_image_mean"), folder / "real", folder / "real.binaryproto"], env=environment(), check=True
    )
    assert (folder / "ours.binaryproto").read_bytes() == (folder / "real.binaryproto").read_bytes()


def test_full_size_samples(tmp_path: Path) -> None:
    names = sorted(p.name for p in shared(SAMPLES).iterdir())
    assert len(names) > 100
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"{name} {i}\n" for i, name in enumerate(names)), encoding="utf-8")
    compare(SAMPLES, listing, tmp_path)


@pytest.mark.parametrize("flags", [("--gray",), ("--resize_height=37", "--resize_width=53")], ids=["gray", "37x53"])
def test_other_settings(tmp_path: Path, flags: tuple[str, ...]) -> None:
    names = sorted(p.name for p in shared(SAMPLES).iterdir())[::10]
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"{name} {i}\n" for i, name in enumerate(names)), encoding="utf-8")
    compare(SAMPLES, listing, tmp_path, *flags)


def tiny(tmp_path: Path, step: int) -> tuple[Path, Path]:
    with zipfile.ZipFile(shared(TINY)) as zipped:
        names = [n for n in zipped.namelist() if n.endswith(".JPEG")][::step]
        zipped.extractall(tmp_path / "tiny", names)
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"{name} {i % 200}\n" for i, name in enumerate(names)), encoding="utf-8")
    return tmp_path / "tiny", listing


def test_tiny_imagenet_sample(tmp_path: Path) -> None:
    compare(*tiny(tmp_path, 50), tmp_path)


@pytest.mark.slow
def test_tiny_imagenet_half(tmp_path: Path) -> None:
    root, listing = tiny(tmp_path, 1)
    real_convert(root, listing, tmp_path / "real")
    run("build", root, listing, tmp_path / "ours", "--mean", tmp_path / "ours.binaryproto")
    run("build", TINY, listing, tmp_path / "zipped")
    assert stream_digest(tmp_path / "ours") == stream_digest(tmp_path / "real") == stream_digest(tmp_path / "zipped")
    subprocess.run([caffe_tool("compute_image_mean"), tmp_path / "real", tmp_path / "real.binaryproto"], check=True)
    assert (tmp_path / "ours.binaryproto").read_bytes() == (tmp_path / "real.binaryproto").read_bytes()


@pytest.mark.parametrize("flags", [(), ("--gray",)], ids=["colour", "gray"])
def test_zoo(tmp_path: Path, flags: tuple[str, ...]) -> None:
    compare(tmp_path / "zoo", zoo.folder(tmp_path / "zoo", zoo.good()), tmp_path, *flags)


def test_lines_that_caffe_reads_as_we_do(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "i", {"a.JPEG": zoo.jpeg(zoo.photo(30, 41)), " b c.JPEG": zoo.jpeg(zoo.photo(44, 29))})
    listing = tmp_path / "windows.txt"
    listing.write_bytes(b"a.JPEG 2147483647\r\n b c.JPEG 007")  # Windows line end; leading space; no last line feed
    compare(tmp_path / "i", listing, tmp_path)


def test_shuffled_is_the_shuffled_list(tmp_path: Path) -> None:
    listing = zoo.many(tmp_path / "i", 60)
    run("build", tmp_path / "i", listing, tmp_path / "ours", "--shuffle", 7)
    ours = records(tmp_path / "ours")
    lines = listing.read_text(encoding="utf-8").splitlines(keepends=True)
    order = np.random.RandomState(7).permutation(len(lines))
    assert sorted(order.tolist()) != order.tolist()
    shuffled = tmp_path / "shuffled.txt"
    shuffled.write_text("".join(lines[i] for i in order), encoding="utf-8")
    real_convert(tmp_path / "i", shuffled, tmp_path / "real")
    assert ours == records(tmp_path / "real")
    assert json.loads((tmp_path / "ours" / "report.json").read_text())["asked"]["settings"]["shuffle"] == 7


def test_gap_where_an_image_is_bad(tmp_path: Path) -> None:
    images = {"a.JPEG": zoo.jpeg(zoo.photo(30, 41)), "b.JPEG": b"", "c.JPEG": zoo.jpeg(zoo.photo(44, 29))}
    listing = zoo.folder(tmp_path / "i", images)
    real_convert(tmp_path / "i", listing, tmp_path / "real")
    run("build", tmp_path / "i", listing, tmp_path / "ours", "--skip-bad")
    assert records(tmp_path / "ours") == records(tmp_path / "real")
    assert [k for k, _ in records(tmp_path / "ours")] == [b"00000000_a.JPEG", b"00000002_c.JPEG"]


def test_mean_past_the_precision_of_float32(tmp_path: Path) -> None:
    """70,000 white images: the running sum passes 2²⁴ and rounds; both round alike."""
    import lmdb

    from foolcaffe.lmdb.slots import head, tail

    pixels = np.random.default_rng(1).integers(250, 256, (17, 2 * 3 * 5), dtype=np.uint8)
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 28) as env, env.begin(write=True) as txn:
        for i in range(70_000):
            value = head(2, 3, 5) + pixels[i % 17].tobytes() + tail(i % 3)
            txn.put(b"%08d" % i, value, append=True)
    run("mean", tmp_path / "db", tmp_path / "ours.binaryproto")
    tool = caffe_tool("compute_image_mean")
    subprocess.run([tool, tmp_path / "db", tmp_path / "real.binaryproto"], env=environment(), check=True)
    assert (tmp_path / "ours.binaryproto").read_bytes() == (tmp_path / "real.binaryproto").read_bytes()
    exact = pixels[np.arange(70_000) % 17].mean(0)
    ours = np.frombuffer((tmp_path / "ours.binaryproto").read_bytes()[-120:], "<f4")
    assert not np.array_equal(ours, exact.astype(np.float32)), "the sum did not round: the test tests nothing"
    assert np.abs(ours - exact).max() <= 1.0
