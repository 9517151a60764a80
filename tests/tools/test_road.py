"""The shell tools on real JPEGs with real Caffe, and on bad ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from helpers import ROOT, Road, environment, fails, make_images, succeeds, tool

TOOLS = sorted(p.stem for p in (ROOT / "tools").glob("*.sh") if p.stem != "lib")


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_has_help_and_refuses_an_unknown_option(name: str) -> None:
    assert f"usage: tools/{name}.sh" in succeeds(tool(name, "--help"))
    fails(tool(name, "--no-such-option"), "unknown option '--no-such-option'", code=2)


def test_lists(road: Road) -> None:
    lines = (road.dataset / "train.txt").read_text().splitlines()
    assert len(lines) == 300
    assert all((road.images / line.rpartition(" ")[0]).is_file() for line in lines)
    assert (road.dataset / "synset_words.txt").read_text().startswith("n01 crimson, red\nn02 meadow")


def test_records_are_64_by_64_in_the_lists_order(road: Road) -> None:
    from caffefiles.datum import DatumLMDB

    lines = (road.dataset / "val.txt").read_text().splitlines()
    with DatumLMDB(road.dataset / "val_lmdb") as records:
        got = list(records)
        assert len(records) == 60
        assert np.array_equal(records.record(17).pixels, got[17].pixels)
    assert [f"{r.key[9:]} {r.label}" for r in got] == lines
    assert {r.pixels.shape for r in got} == {(3, 64, 64)}


def test_our_reading_and_resizing_agrees_with_convert_imageset(road: Road) -> None:
    """A start image is fed to the net as the training images were: to a grey level of rounding."""
    from caffefiles.datum import DatumLMDB
    from foolcaffe.images import read_image, resize

    with DatumLMDB(road.dataset / "val_lmdb") as records:
        for record in records:
            ours = resize(read_image(road.images / record.key[9:]), 64, 64).to_bgr().array
            assert np.abs(ours - record.pixels).max() <= 3, record.key
            assert np.abs(ours - record.pixels).mean() <= 0.3, record.key


def test_the_mean_is_the_mean(road: Road) -> None:
    from caffefiles.datum import DatumLMDB
    from caffefiles.mean import read_mean

    with DatumLMDB(road.dataset / "train_lmdb") as records:
        mean = np.mean([r.pixels.astype(np.float64) for r in records], axis=0)
    assert np.abs(read_mean(road.dataset / "mean.binaryproto") - mean).max() <= 1e-3


@pytest.mark.usefixtures("programs")
def test_a_mean_that_cannot_be_computed_or_written(road: Road, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    fails(tool("make_mean", road.dataset / "train_lmdb", tmp_path / "file" / "mean"), "cannot write to")
    shutil.copytree(road.dataset / "val_lmdb", tmp_path / "db")
    change_record(tmp_path / "db", lambda key, value: (key, b"no Datum at all"))
    done = tool("make_mean", tmp_path / "db", tmp_path / "mean")
    fails(done, "gave no mean of", "validate_lmdb.sh")
    assert "Aborted" not in done.stderr  # bash's own word for it
    limited = f"trap '' XFSZ; ulimit -f 8; exec {ROOT}/tools/make_mean.sh {road.dataset}/train_lmdb {tmp_path}/mean"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, env=environment(), timeout=60)
    fails(done, "gave no mean of")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["db", "file"]


def spoiled(tmp_path: Path) -> Path:
    make_images(tmp_path / "images", train=3, val=1)
    folder = tmp_path / "images" / "train" / "n03"
    (folder / "train_0.JPEG").write_bytes(b"this is text")
    whole = folder / "train_1.JPEG"
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    succeeds(tool("make_lists", tmp_path / "images", tmp_path / "lists"))
    return tmp_path / "images"


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("builder", ["foolcaffe", "caffe"])
def test_bad_images_stop_the_build_and_are_named(tmp_path: Path, builder: str) -> None:
    images = spoiled(tmp_path)
    done = tool("create_lmdb", "--builder", builder, images, tmp_path / "lists" / "train.txt", tmp_path / "db")
    fails(done, "train/n03/train_0.JPEG", "train/n03/train_1.JPEG", "--skip-bad")
    assert not (tmp_path / "db").exists()


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("builder", ["foolcaffe", "caffe"])
def test_skip_bad_leaves_them_out_and_lists_them(tmp_path: Path, builder: str) -> None:
    images, lists = spoiled(tmp_path), tmp_path / "lists"
    how = ["--skip-bad", "--builder", builder]
    for part in ("train", "val"):
        succeeds(tool("create_lmdb", *how, images, lists / f"{part}.txt", lists / f"{part}_lmdb"))
    bad = (lists / "train_lmdb" / "bad_images.txt").read_text().splitlines()
    assert sorted(line.split("\t")[0] for line in bad) == ["train/n03/train_0.JPEG", "train/n03/train_1.JPEG"]
    succeeds(tool("make_mean", lists / "train_lmdb", lists / "mean.binaryproto"))
    succeeds(tool("validate_lmdb", lists))
    for name in ("bad_images.txt", "report.json"):
        (lists / "train_lmdb" / name).unlink(missing_ok=True)
    fails(tool("validate_lmdb", lists), "13 records", "15 lines", "train/n03/train_1.JPEG")


def test_both_builders_store_the_same_bytes(road: Road, tmp_path: Path) -> None:
    from caffefiles.lmdb_reader import LmdbReader

    listing = road.dataset / "train.txt"
    succeeds(tool("create_lmdb", "--builder", "caffe", road.images, listing, tmp_path / "db"))
    ours, theirs = LmdbReader(road.dataset / "train_lmdb"), LmdbReader(tmp_path / "db")
    assert len(ours) == len(theirs) == 300
    for (a, x), (b, y) in zip(ours.once(), theirs.once()):
        assert a == b
        assert bytes(x) == bytes(y)


@pytest.mark.usefixtures("programs")
def test_malformed_lists_stop_the_build(tmp_path: Path) -> None:
    make_images(tmp_path / "images", train=1, val=1)
    (tmp_path / "l.txt").write_text("train/n01/train_0.JPEG 0 \n")
    ours = ["create_lmdb", tmp_path / "images"]
    fails(tool(*ours, tmp_path / "l.txt", tmp_path / "db"), "l.txt:1: a space after the label")
    fails(tool(*ours, tmp_path / "no.txt", tmp_path / "db"), "no list at")
    (tmp_path / "l.txt").write_text("train/n01/train_0.JPEG 0\n")
    for builder in ("foolcaffe", "caffe"):
        done = tool("create_lmdb", "--builder", builder, tmp_path / "none", tmp_path / "l.txt", tmp_path / "db")
        fails(done, str(tmp_path / "none"))
    assert not (tmp_path / "db").exists()


@pytest.mark.usefixtures("programs")
def test_an_existing_database_is_not_touched(road: Road, tmp_path: Path) -> None:
    copy = road.copy(tmp_path)
    before = (copy.dataset / "val_lmdb" / "data.mdb").read_bytes()
    done = tool("create_lmdb", road.images, copy.dataset / "val.txt", copy.dataset / "val_lmdb")
    fails(done, "is there already")
    assert (copy.dataset / "val_lmdb" / "data.mdb").read_bytes() == before


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("builder", ["foolcaffe", "caffe"])
def test_a_full_disk_leaves_nothing_that_looks_finished(road: Road, tmp_path: Path, builder: str) -> None:
    """A file size limit gives the same failure as a full disk, without root."""
    arguments = f"--builder {builder} {road.images} {road.dataset}/train.txt {tmp_path}/out/train_lmdb"
    command = f"trap '' XFSZ; ulimit -f 300; exec {ROOT}/tools/create_lmdb.sh {arguments}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), timeout=120)
    fails(done, "limit" if builder == "foolcaffe" else "writing")
    assert not (tmp_path / "out" / "train_lmdb").exists()


def change_record(database: Path, edit) -> None:
    """Rewrite the third record of an LMDB; ``edit`` gets key and value and returns new ones, or None to delete."""
    with lmdb.open(str(database), map_size=1 << 30) as env, env.begin(write=True) as txn:
        cursor = txn.cursor()
        for _ in range(3):
            cursor.next()
        key, value = bytes(cursor.key()), bytes(cursor.value())
        txn.delete(key)
        if (new := edit(key, value)) is not None:
            txn.put(*new)


def relabel(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    from foolcaffe.engine import caffe

    datum = caffe.proto.caffe_pb2.Datum.FromString(value)
    datum.label = (datum.label + 1) % 5
    return key, datum.SerializeToString()


def shrink(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    from foolcaffe.engine import caffe

    datum = caffe.proto.caffe_pb2.Datum.FromString(value)
    datum.height, datum.data = 32, datum.data[: 3 * 32 * 64]
    return key, datum.SerializeToString()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda k, v: None, "line 3 ("),
        (lambda k, v: (b"99999999_x.JPEG", v), "99999999_x.JPEG is not in"),
        (lambda k, v: (k, v[:500]), "record 00000002"),
        (relabel, "has label"),
        (shrink, "is 3 × 32 × 64, not 3 × 64 × 64"),
        (lambda k, v: (k, v[:700] + bytes([v[700] ^ 1]) + v[701:]), "wrong checksum"),
    ],
    ids=["missing", "unknown key", "cut", "label", "shape", "a bit"],
)
def test_validate_finds_each_difference(road: Road, tmp_path: Path, edit, said: str) -> None:
    copy = road.copy(tmp_path)
    succeeds(tool("validate_lmdb", copy.dataset))
    change_record(copy.dataset / "val_lmdb", edit)
    fails(tool("validate_lmdb", copy.dataset), "is not what", said)


def test_validate_refuses_a_corrupt_database(road: Road, tmp_path: Path) -> None:
    copy = road.copy(tmp_path)
    path = copy.dataset / "val_lmdb" / "data.mdb"
    path.write_bytes(path.read_bytes()[:5000])
    fails(tool("validate_lmdb", copy.dataset), "val_lmdb' is cut short: 5000 bytes")
    path.write_bytes(os.urandom(40960))
    fails(tool("validate_lmdb", copy.dataset), "val_lmdb' is no readable LMDB")


@pytest.mark.usefixtures("programs")
def test_validate_refuses_a_mean_of_another_shape(road: Road, tmp_path: Path) -> None:
    copy = road.copy(tmp_path)
    succeeds(tool("create_lmdb", "--size", "32", road.images, copy.dataset / "val.txt", tmp_path / "small"))
    succeeds(tool("make_mean", tmp_path / "small", tmp_path / "mean.binaryproto"))
    shutil.copy(tmp_path / "mean.binaryproto", copy.dataset)
    fails(tool("validate_lmdb", copy.dataset), "mean.binaryproto is 3 × 32 × 32, not 3 × 64 × 64")


@pytest.mark.usefixtures("programs")
def test_images_with_spaces_and_umlauts_in_their_names(tmp_path: Path) -> None:
    for part in ("train", "val"):
        folder = tmp_path / "images" / part / "n01"
        folder.mkdir(parents=True)
        Image.new("RGB", (50, 40), "red").save(folder / "ein schöner Fuchs.JPEG")
    succeeds(tool("make_lists", tmp_path / "images", tmp_path / "b"))
    succeeds(tool("create_lmdb", tmp_path / "images", tmp_path / "b" / "train.txt", tmp_path / "b" / "train_lmdb"))
    with lmdb.open(str(tmp_path / "b" / "train_lmdb"), readonly=True) as env, env.begin() as txn:
        assert [k.decode() for k, _ in txn.cursor()] == ["00000000_train/n01/ein schöner Fuchs.JPEG"]
