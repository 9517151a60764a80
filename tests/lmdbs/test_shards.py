"""plan → shards → merge gives the records of one build, in whatever order and however often the shards are made."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import lmdb
import pytest

from lmdbs import zoo
from lmdbs.tools import records, run, stream_digest


@pytest.fixture
def planned(tmp_path: Path) -> tuple[Path, Path]:
    listing = zoo.many(tmp_path / "i", 101)
    victim = tmp_path / "i" / "n00000003" / "image_52.JPEG"
    victim.unlink()
    victim.write_bytes(b"bad")
    run("plan", tmp_path / "i", listing, tmp_path / "db", "--shards", 5, "--shuffle", 3)
    return tmp_path / "db", listing


def shard(database: Path, number: int) -> Path:
    return database.with_name("db.partial") / "shards" / f"{number:05d}"


def test_merged_is_built(planned: tuple[Path, Path], tmp_path: Path) -> None:
    database, listing = planned
    for number in (4, 0, 2, 0, 3):
        run("shard", database, number, "--skip-bad", "--workers", 1)
    assert "shard 1 of 5 is not finished" in run("merge", database, expect=1).stderr
    run("shard", database, 1, "--skip-bad")
    run("merge", database, "--mean", tmp_path / "mean")
    run(
        "build",
        tmp_path / "i",
        listing,
        tmp_path / "one",
        "--skip-bad",
        "--shuffle",
        3,
        "--mean",
        tmp_path / "one-mean",
    )
    assert records(database) == records(tmp_path / "one")
    assert (tmp_path / "mean").read_bytes() == (tmp_path / "one-mean").read_bytes()
    merged, one = (json.loads((d / "report.json").read_text()) for d in (database, tmp_path / "one"))
    for name in ("lines", "stored", "digest", "rejected"):
        assert merged[name] == one[name], name
    assert merged["stored"] == 100
    assert (database / "crc32").read_bytes() == (tmp_path / "one" / "crc32").read_bytes()
    assert (database / "bad_images.txt").read_text() == (tmp_path / "one" / "bad_images.txt").read_text() != ""
    run("validate", database, listing)
    assert not database.with_name("db.partial").exists()
    # another number of shards is the same database: build finds it finished
    run("build", tmp_path / "i", listing, database, "--skip-bad", "--shuffle", 3)


def test_shard_is_made_once(planned: tuple[Path, Path]) -> None:
    database, _ = planned
    run("shard", database, 2, "--skip-bad")
    before = (shard(database, 2) / "data.mdb").stat().st_mtime_ns
    run("shard", database, 2, "--skip-bad")
    assert (shard(database, 2) / "data.mdb").stat().st_mtime_ns == before
    report = json.loads((shard(database, 2) / "report.json").read_text())
    assert report["lines"] == report["stored"] + len(report["rejected"]) == report["end"] - report["first"]


def finish(database: Path) -> None:
    for number in range(5):
        run("shard", database, number, "--skip-bad", "--quiet")


def test_merge_is_gone_on_with(planned: tuple[Path, Path], tmp_path: Path) -> None:
    database, listing = planned
    finish(database)
    run("build", tmp_path / "i", listing, tmp_path / "one", "--skip-bad", "--shuffle", 3)
    merged = database.with_name("db.partial") / "merged"
    merged.mkdir()
    with lmdb.open(str(merged), map_size=1 << 28, lock=False) as env, env.begin(write=True) as txn:
        for key, value in records(tmp_path / "one")[:33]:
            txn.put(key, value)
    run("merge", database, "--mean", tmp_path / "mean")
    assert stream_digest(database) == stream_digest(tmp_path / "one")
    run("mean", tmp_path / "one", tmp_path / "one-mean")
    assert (tmp_path / "mean").read_bytes() == (tmp_path / "one-mean").read_bytes()


def change(folder: Path, edit: object) -> None:
    with lmdb.open(str(folder), map_size=1 << 28, lock=False) as env, env.begin(write=True) as txn:
        key, value = list(txn.cursor())[7]
        if edit == "pixel":
            txn.put(key, value[:500] + bytes([value[500] ^ 1]) + value[501:])
        else:
            txn.delete(key)


@pytest.mark.parametrize(("edit", "message"), [("pixel", "wrong checksum"), ("record", "its report says")])
def test_changed_shard_is_refused(planned: tuple[Path, Path], edit: str, message: str) -> None:
    database, _ = planned
    finish(database)
    change(shard(database, 1), edit)
    assert message in run("merge", database, expect=1).stderr
    assert not database.exists()
    shutil.rmtree(shard(database, 1))
    run("shard", database, 1, "--skip-bad")
    run("merge", database)


def test_shard_of_another_plan_is_refused(planned: tuple[Path, Path]) -> None:
    database, _ = planned
    finish(database)
    file = shard(database, 1) / "report.json"
    file.write_text(file.read_text().replace('"plan": "', '"plan": "0'))
    assert "shard 1 of 5 is not finished" in run("merge", database, expect=1).stderr


@pytest.mark.parametrize("number", [-1, 5])
def test_no_such_shard(planned: tuple[Path, Path], number: int) -> None:
    assert "expected 0..4" in run("shard", planned[0], "--", number, expect=1).stderr


def test_more_shards_than_lines(tmp_path: Path) -> None:
    listing = zoo.many(tmp_path / "i", 3)
    assert (
        "fewer than the 4 shards"
        in run("plan", tmp_path / "i", listing, tmp_path / "db", "--shards", 4, expect=1).stderr
    )


def test_no_plan(tmp_path: Path) -> None:
    for arguments in (("shard", tmp_path / "db", 0), ("merge", tmp_path / "db")):
        assert "no plan for" in run(*arguments, expect=1).stderr


def test_verify_finds_what_is_wrong_before_publishing(tmp_path: Path) -> None:
    """A record that was damaged on the disk after its shard was finished."""
    listing = zoo.many(tmp_path / "i", 30)
    run("plan", tmp_path / "i", listing, tmp_path / "db")
    run("shard", tmp_path / "db", 0)
    change(shard(tmp_path / "db", 0), "pixel")
    said = run("merge", tmp_path / "db", expect=1).stderr
    assert "wrong checksum" in said
    assert not (tmp_path / "db").exists()
    run("merge", tmp_path / "db", "--no-verify")
    assert "wrong checksum" in run("validate", tmp_path / "db", expect=1).stderr


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda items: items[:-1], "line 9 (n00000001/image_8.JPEG) is neither stored nor named as bad"),
        (
            lambda items: [*items[:4], (items[4][0], items[4][1][:-4] + b"\x28\x06\x38\x00")],
            "has label 6, line 5 says 4",
        ),
        (lambda items: [*items, (b"00000009_more", items[0][1])], "is not in"),
        (lambda items: [(items[0][0], items[0][1][:-20]), *items[1:]], "cut short"),
        (lambda items: [(items[0][0], b"\xff\xff"), *items[1:]], "no Datum"),
        (lambda items: [], "there is no record"),
    ],
    ids=["missing", "label", "more", "short", "garbage", "empty"],
)
def test_validate_of_any_lmdb(tmp_path: Path, edit: object, message: str) -> None:
    """Also of one without our report, as convert_imageset leaves it."""
    listing = zoo.many(tmp_path / "i", 9)
    run("build", tmp_path / "i", listing, tmp_path / "good")
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 28) as env, env.begin(write=True) as txn:
        for key, value in records(tmp_path / "good"):
            txn.put(key, value)
    assert (
        "9 records, none is wrong, it carries no checksums"
        in run("validate", tmp_path / "db", listing, "--size", 64).stdout
    )
    shutil.rmtree(tmp_path / "db")
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 28) as env, env.begin(write=True) as txn:
        for key, value in edit(records(tmp_path / "good")):  # type: ignore[operator]
            txn.put(key, value)
    assert message in run("validate", tmp_path / "db", listing, expect=1).stderr


def test_validate_size_and_classes(tmp_path: Path) -> None:
    listing = zoo.many(tmp_path / "i", 9)
    run("build", tmp_path / "i", listing, tmp_path / "db", "--resize_height", 20, "--resize_width", 30)
    assert "is 3 × 20 × 30, not 3 × 20 × 20" in run("validate", tmp_path / "db", "--size", 20, expect=1).stderr
    assert "has label 6, expected 0..5" in run("validate", tmp_path / "db", "--classes", 6, expect=1).stderr
    run("validate", tmp_path / "db", listing, "--classes", 7)


def test_validate_of_no_database(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(struct.pack("<Q", 7) * 4096)
    assert "is no readable LMDB" in run("validate", tmp_path, expect=1).stderr
    assert "no LMDB at" in run("validate", tmp_path / "none", expect=1).stderr


def lengthen(data: Path, key: bytes) -> None:
    """Let a leaf say that a record's value has two gigabytes: LMDB itself would read beyond its map and crash."""
    raw = bytearray(data.read_bytes())
    at = raw.index(key)  # before it: two halves of the size, flags, the key's length
    raw[at - 6 : at - 4] = b"\xff\x7f"
    data.write_bytes(raw)


def test_a_damaged_page_ends_no_build_and_no_validation(tmp_path: Path) -> None:
    listing = zoo.many(tmp_path / "i", 30)
    run("build", tmp_path / "i", listing, tmp_path / "db")
    lengthen(tmp_path / "db" / "data.mdb", b"00000007_n")
    assert "is damaged: page" in run("validate", tmp_path / "db", listing, expect=1).stderr
    shutil.rmtree(tmp_path / "db")
    run("plan", tmp_path / "i", listing, tmp_path / "db")
    run("shard", tmp_path / "db", 0)
    lengthen(shard(tmp_path / "db", 0) / "data.mdb", b"00000007_n")
    assert "is damaged: page" in run("merge", tmp_path / "db", expect=1).stderr
    assert not (tmp_path / "db").exists()


def test_validate_finds_a_changed_key(tmp_path: Path) -> None:
    listing = zoo.many(tmp_path / "i", 30)
    run("build", tmp_path / "i", listing, tmp_path / "db")
    data = tmp_path / "db" / "data.mdb"
    raw = data.read_bytes()
    data.write_bytes(raw.replace(b"image_17.JPEG", b"image_71.JPEG"))
    assert "a key or a value has changed" in run("validate", tmp_path / "db", expect=1).stderr
