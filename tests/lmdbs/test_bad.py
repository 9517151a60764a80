"""Every image is stored, or named with its line and the reason; and nothing of a stopped build is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lmdbs import zoo
from lmdbs.tools import records, run


def bad_table(file: Path) -> dict[str, str]:
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    assert all(len(row) == 3 and row[2].startswith("line ") for row in rows), rows
    return {row[0]: row[1] for row in rows}


def test_zoo_is_accounted_for(tmp_path: Path) -> None:
    good, bad = zoo.good(), zoo.bad()
    images = {**{n: d for n, (d, _) in bad.items()}, **good}
    listing = zoo.folder(tmp_path / "zoo", images)
    with listing.open("ab") as file:
        file.write(
            b"missing.JPEG 3\nplain.JPEG 4\nplain.JPEG 5 \nplain.JPEG -1\nplain.JPEG 1000\nplain.JPEG x\n\nplain.JPEG\n"
        )
        file.write(b"a-folder 1\na-pipe 1\n" + b"y" * 600 + b" 1\nturned1.JPEG 99999999999999999999\n\xff\xfe.JPEG 8\n")
    (tmp_path / "zoo" / "a-folder").mkdir()
    os.mkfifo(tmp_path / "zoo" / "a-pipe")
    lines = listing.read_bytes().count(b"\n")
    done = run("build", tmp_path / "zoo", listing, tmp_path / "db", "--skip-bad", "--classes", 1000)
    report = json.loads((tmp_path / "db" / "report.json").read_text())
    assert f"{lines} lines = {len(good)} records, {lines - len(good)} left out" in done.stdout
    assert report["lines"] == lines == report["stored"] + len(report["rejected"])
    assert {k[9:].decode() for k, _ in records(tmp_path / "db")} == set(good)
    table = bad_table(tmp_path / "db" / "bad_images.txt")
    for name, (_, reason) in bad.items():
        assert reason in table[name], (name, table[name])
    by_line = {row["line"]: row for row in report["rejected"]}
    first = len(images) + 1
    for offset, (path, reason) in enumerate(
        [
            ("missing.JPEG", "No such file"),
            ("plain.JPEG", "the same path as in line"),
            ("plain.JPEG 5", "a space after the label"),
            ("plain.JPEG", "-1 is out of range, expected 0..999"),
            ("plain.JPEG", "1000 is out of range"),
            ("plain.JPEG", "'x' is not a number"),
            ("", "blank"),
            ("plain.JPEG", "no space between"),
            ("a-folder", "a folder"),
            ("a-pipe", "not a regular file"),
            ("y" * 502, "the path has 600 bytes"),
            ("turned1.JPEG", "out of range"),
            ("\\xff\\xfe.JPEG", "No such file"),
        ]
    ):
        row = by_line[first + offset]
        assert row["path"].startswith(path), row
        assert reason in row["reason"], row
    assert "Corrupt JPEG data" not in (tmp_path / "db" / "bad_images.txt").read_text()
    run("validate", tmp_path / "db", listing, "--classes", 1000)


def test_a_bad_image_stops_the_build_and_a_mended_one_goes_in(tmp_path: Path) -> None:
    listing = zoo.many(tmp_path / "i", 50)
    victims = [
        tmp_path / "i" / line.split()[0]
        for line in listing.read_text().splitlines()
        if "_13." in line or "_49." in line
    ]
    saved = {v: v.read_bytes() for v in victims}
    for victim in victims:
        victim.unlink()
        victim.write_bytes(saved[victim][:200])
    stopped = run("build", tmp_path / "i", listing, tmp_path / "db", expect=1)
    assert "2 of the images cannot be stored" in stopped.stderr
    assert "image_13.JPEG (line 14): a truncated JPEG" in stopped.stderr
    assert not (tmp_path / "db").exists()
    table = bad_table(tmp_path / "db.partial" / "shards" / "00000" / "bad_images.txt")
    assert {n.rpartition("/")[2] for n in table} == {"image_13.JPEG", "image_49.JPEG"}
    victims[0].write_bytes(saved[victims[0]])
    assert "1 of the images cannot be stored" in run("build", tmp_path / "i", listing, tmp_path / "db", expect=1).stderr
    victims[1].write_bytes(saved[victims[1]])
    run("build", tmp_path / "i", listing, tmp_path / "db", "--mean", tmp_path / "mean")
    run("build", tmp_path / "i", listing, tmp_path / "straight", "--mean", tmp_path / "straight-mean")
    assert records(tmp_path / "db") == records(tmp_path / "straight")
    assert (tmp_path / "mean").read_bytes() == (tmp_path / "straight-mean").read_bytes()
    assert (tmp_path / "db" / "bad_images.txt").read_text() == ""
    assert (tmp_path / "db" / "crc32").read_bytes() == (tmp_path / "straight" / "crc32").read_bytes()
    assert not (tmp_path / "db.partial").exists()


def test_skip_bad_goes_on_from_a_stopped_build(tmp_path: Path) -> None:
    images = {"a.JPEG": b"", "b.JPEG": zoo.jpeg(zoo.photo(30, 41)), "c.JPEG": b"gone"}
    listing = zoo.folder(tmp_path / "i", images)
    run("build", tmp_path / "i", listing, tmp_path / "db", expect=1)
    run("build", tmp_path / "i", listing, tmp_path / "db", "--skip-bad")
    assert [k for k, _ in records(tmp_path / "db")] == [b"00000001_b.JPEG"]
    assert set(bad_table(tmp_path / "db" / "bad_images.txt")) == {"a.JPEG", "c.JPEG"}


def test_many_bad_images_stop_at_once(tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"{i}.JPEG 0\n" for i in range(5000)))
    (tmp_path / "wrong").mkdir()
    stopped = run("build", tmp_path / "wrong", listing, tmp_path / "db", expect=1)
    assert "ROOT" in stopped.stderr
    assert "and so many at once" in stopped.stderr


def test_bad_lines_stop_before_anything_is_decoded(tmp_path: Path) -> None:
    listing = zoo.folder(tmp_path / "i", {"a.JPEG": zoo.jpeg(zoo.photo(30, 41))})
    listing.write_text("a.JPEG 0\na.JPEG 1\nb.JPEG 2 \n")
    stopped = run("build", tmp_path / "i", listing, tmp_path / "db", expect=1)
    assert f"{listing}:2: the same path as in line 1 with label 0, here 1: a.JPEG" in stopped.stderr
    assert f"{listing}:3: a space after the label" in stopped.stderr
    assert not (tmp_path / "db.partial" / "shards").exists()
    listing.write_text("a.JPEG 0\n")  # mended: no --restart is asked for, since nothing had been built
    run("build", tmp_path / "i", listing, tmp_path / "db")


def test_duplicates_on_demand(tmp_path: Path) -> None:
    listing = zoo.folder(tmp_path / "i", {"a.JPEG": zoo.jpeg(zoo.photo(30, 41))})
    listing.write_text("a.JPEG 0\na.JPEG 1\n")
    run("build", tmp_path / "i", listing, tmp_path / "db", "--keep-duplicates")
    assert [k for k, _ in records(tmp_path / "db")] == [b"00000000_a.JPEG", b"00000001_a.JPEG"]


@pytest.mark.parametrize(("text", "message"), [(b"", "lists no image"), (None, "no list at")], ids=["empty", "missing"])
def test_no_list(tmp_path: Path, text: bytes | None, message: str) -> None:
    if text is not None:
        (tmp_path / "list.txt").write_bytes(text)
    assert message in run("build", tmp_path, tmp_path / "list.txt", tmp_path / "db", expect=1).stderr


def test_nothing_can_be_stored(tmp_path: Path) -> None:
    listing = zoo.folder(tmp_path / "i", {"a.JPEG": b""})
    assert "none of the images" in run("build", tmp_path / "i", listing, tmp_path / "db", "--skip-bad", expect=1).stderr
    assert not (tmp_path / "db").exists()


def test_no_root(tmp_path: Path) -> None:
    listing = zoo.folder(tmp_path / "i", {"a.JPEG": zoo.jpeg(zoo.photo(30, 41))})
    assert "no folder or archive at" in run("build", tmp_path / "nowhere", listing, tmp_path / "db", expect=1).stderr


@pytest.mark.parametrize("arguments", [(), ("build", "a", "b"), ("build", "a", "b", "c", "--size", "0"), ("fly",)])
def test_usage(arguments: tuple[str, ...]) -> None:
    assert "usage:" in run(*arguments, expect=2).stderr
