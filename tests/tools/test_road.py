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

from helpers import ROOT, Road, environment, fails, make_images, run, succeeds, tool

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
    from foolcaffe.datums import DatumLMDB

    lines = (road.dataset / "val.txt").read_text().splitlines()
    with DatumLMDB(road.dataset / "val_lmdb") as records:
        got = list(records)
        assert len(records) == 60
        assert np.array_equal(records.record(17).pixels, got[17].pixels)
    assert [f"{r.key[9:]} {r.label}" for r in got] == lines
    assert {r.pixels.shape for r in got} == {(3, 64, 64)}


def test_our_reading_and_resizing_agrees_with_convert_imageset(road: Road) -> None:
    """A start image is fed to the net as the training images were: to a grey level of rounding."""
    from foolcaffe.datums import DatumLMDB
    from foolcaffe.images import read_image, resize

    with DatumLMDB(road.dataset / "val_lmdb") as records:
        for record in records:
            ours = resize(read_image(road.images / record.key[9:]), 64, 64).to_bgr().array
            assert np.abs(ours - record.pixels).max() <= 3, record.key
            assert np.abs(ours - record.pixels).mean() <= 0.3, record.key


def test_the_mean_is_the_mean(road: Road) -> None:
    from foolcaffe.datums import DatumLMDB
    from foolcaffe.mean import read_mean

    with DatumLMDB(road.dataset / "train_lmdb") as records:
        mean = np.mean([r.pixels.astype(np.float64) for r in records], axis=0)
    assert np.abs(read_mean(road.dataset / "mean.binaryproto") - mean).max() <= 1e-3


def spoiled(tmp_path: Path) -> Path:
    make_images(tmp_path / "images", train=3, val=1)
    folder = tmp_path / "images" / "train" / "n03"
    (folder / "train_0.JPEG").write_bytes(b"this is text")
    whole = folder / "train_1.JPEG"
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    succeeds(tool("make_lists", tmp_path / "images", tmp_path / "lists"))
    return tmp_path / "images"


def test_bad_images_stop_the_build_and_are_named(engine: str, tmp_path: Path) -> None:
    images = spoiled(tmp_path)
    done = tool("create_lmdb", images, tmp_path / "lists" / "train.txt", tmp_path / "db")
    fails(done, "2 of the images cannot be read", "train/n03/train_0.JPEG", "train/n03/train_1.JPEG", "--skip-bad")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "lists"]


def test_skip_bad_leaves_them_out_and_lists_them(engine: str, tmp_path: Path) -> None:
    images, lists = spoiled(tmp_path), tmp_path / "lists"
    succeeds(tool("create_lmdb", "--skip-bad", images, lists / "train.txt", lists / "train_lmdb"))
    bad = (lists / "bad_train.txt").read_text().splitlines()
    assert sorted(line.split("\t")[0] for line in bad) == ["train/n03/train_0.JPEG", "train/n03/train_1.JPEG"]
    validate = ["validate", "lmdb", lists / "train_lmdb", lists / "train.txt", "--synsets", lists / "synset_words.txt"]
    succeeds(run(*validate, "--bad", lists / "bad_train.txt"))
    fails(run(*validate), "13 records", "15 lines", "train/n03/train_1.JPEG (line")


def test_malformed_lists_stop_the_build(engine: str, tmp_path: Path) -> None:
    make_images(tmp_path / "images", train=1, val=1)
    (tmp_path / "l.txt").write_text("train/n01/train_0.JPEG 0 \n")
    fails(tool("create_lmdb", tmp_path / "images", tmp_path / "l.txt", tmp_path / "db"), "l.txt:1: space at an end")
    fails(tool("create_lmdb", tmp_path / "images", tmp_path / "no.txt", tmp_path / "db"), "no list at")
    fails(tool("create_lmdb", tmp_path / "none", tmp_path / "l.txt", tmp_path / "db"), "no folder of images")
    assert not (tmp_path / "db").exists()


def test_an_existing_database_is_not_touched(road: Road, tmp_path: Path) -> None:
    copy = road.copy(tmp_path)
    before = (copy.dataset / "val_lmdb" / "data.mdb").read_bytes()
    done = tool("create_lmdb", road.images, copy.dataset / "val.txt", copy.dataset / "val_lmdb")
    fails(done, "is there already")
    assert (copy.dataset / "val_lmdb" / "data.mdb").read_bytes() == before


def test_a_full_disk_leaves_nothing_that_looks_finished(road: Road, tmp_path: Path) -> None:
    """A file size limit gives the same failure as a full disk, without root."""
    arguments = f"{road.images} {road.dataset}/train.txt {tmp_path}/out/train_lmdb"
    command = f"ulimit -f 300; exec {ROOT}/tools/create_lmdb.sh {arguments}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), timeout=120)
    fails(done, "writing", "failed")
    assert list((tmp_path / "out").iterdir()) == []


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
        (lambda k, v: None, "which "),
        (lambda k, v: (b"99999999_x.JPEG", v), "'99999999_x.JPEG' is not in"),
        (lambda k, v: (k, v[:500]), "record '00000002"),
        (relabel, "has label"),
        (shrink, "is 3 × 32 × 64, not 3 × 64 × 64"),
    ],
    ids=["missing", "unknown key", "cut", "label", "shape"],
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
    fails(tool("validate_lmdb", copy.dataset), "val_lmdb is truncated: 5000 bytes")
    path.write_bytes(os.urandom(40960))
    fails(tool("validate_lmdb", copy.dataset), "cannot be opened as an LMDB")


def test_validate_refuses_a_mean_of_another_shape(road: Road, tmp_path: Path) -> None:
    copy = road.copy(tmp_path)
    shutil.rmtree(copy.dataset / "train_lmdb")
    succeeds(tool("create_lmdb", "--size", "32", road.images, copy.dataset / "train.txt", copy.dataset / "train_lmdb"))
    succeeds(tool("make_mean", copy.dataset / "train_lmdb", copy.dataset / "other.binaryproto"))
    validate = ["validate", "lmdb", copy.dataset / "val_lmdb", copy.dataset / "val.txt"]
    done = run(*validate, "--synsets", copy.dataset / "synset_words.txt", "--mean", copy.dataset / "other.binaryproto")
    fails(done, "other.binaryproto is 3 × 32 × 32, not 3 × 64 × 64")


def test_images_with_spaces_and_umlauts_in_their_names(engine: str, tmp_path: Path) -> None:
    for part in ("train", "val"):
        folder = tmp_path / "images" / part / "n01"
        folder.mkdir(parents=True)
        Image.new("RGB", (50, 40), "red").save(folder / "ein schöner Fuchs.JPEG")
    succeeds(tool("make_lists", tmp_path / "images", tmp_path / "b"))
    succeeds(tool("create_lmdb", tmp_path / "images", tmp_path / "b" / "train.txt", tmp_path / "b" / "train_lmdb"))
    validate = ["validate", "lmdb", tmp_path / "b" / "train_lmdb", tmp_path / "b" / "train.txt"]
    succeeds(run(*validate, "--synsets", tmp_path / "b" / "synset_words.txt"))
