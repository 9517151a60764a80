# ruff: noqa: PT017 - a damaged database may also do no harm
"""LevelDB: read as real Caffe reads it, written so that real Caffe reads it, left alone, and refused when damaged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from programs import REAL, caffe, check_same_log, cleaned, needs_caffe, ours

from caffefiles.errors import CaffeError
from caffefiles.leveldb_reader import LevelDbReader
from caffefiles.proto import caffe_pb2
from torchcaffe import common
from torchcaffe.pycaffe import TRAIN, Net
from torchcaffe.tools import compute_image_mean, convert_imageset
from torchcaffe.tools.writers import LevelDbWriter

plyvel = pytest.importorskip("plyvel", reason="LevelDB needs plyvel, which is not installed")

NET = (
    'layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "%s" batch_size: 7 } '
    "transform_param { crop_size: 9 mirror: true } }"  # an omitted backend is LEVELDB
)
SCRIPT = """
import sys, numpy, caffe
caffe.set_random_seed(4)
net = caffe.Net(sys.argv[1], caffe.TRAIN)
found = [[net.blobs[name].data.copy() for name in ("data", "label")] for _ in range(6) if net.forward() is not None]
numpy.savez(sys.argv[2], data=[d for d, _ in found], label=[l for _, l in found])
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PNGs that compress well, and a list of them."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(8)
    for i in range(23):
        pixels = random.integers(0, 256, (3, 5, 3), np.uint8).repeat(9 + i % 4, 0).repeat(7, 1)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "list").write_text("".join(f"{i}.png {3 * i}\n" for i in range(23)))
    return folder


def convert(run: Any, images: Path, database: Path) -> subprocess.CompletedProcess[str]:
    size = ("--backend", "leveldb", "--resize_height=11", "--resize_width=13")
    done: subprocess.CompletedProcess[str] = run("convert_imageset", *size, f"{images}/", images / "list", database)
    assert done.returncode == 0, done.stderr
    return done


def batches(database: Path, folder: Path) -> dict[str, Any]:
    """What our Data layer reads."""
    (folder / "net.prototxt").write_text(NET % database)
    common.set_random_seed(4)
    net = Net(str(folder / "net.prototxt"), TRAIN)
    found = []
    for _ in range(6):
        net.forward()
        found.append([np.array(net.blobs[name].data) for name in ("data", "label")])
    return {"data": np.array([d for d, _ in found]), "label": np.array([label for _, label in found])}


def real_batches(database: Path, folder: Path) -> dict[str, Any]:
    """What real Caffe's reads."""
    (folder / "real.prototxt").write_text(NET % database)
    command = [str(REAL / "python"), "-W", "ignore", "-c", SCRIPT, str(folder / "real.prototxt"), str(folder / "r.npz")]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "GLOG_minloglevel": "2"}, timeout=120)
    with np.load(folder / "r.npz") as file:
        return dict(file)


def state(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in folder.iterdir())


@needs_caffe
def test_real_caffes_databases_are_read_as_real_caffe_reads_them(images: Path, tmp_path: Path) -> None:
    """First as convert_imageset leaves it, all records in the log; then as its first reader leaves it, in a table."""
    database = tmp_path / "db"
    convert(caffe, images, database)
    before = state(database)
    fresh = batches(database, tmp_path)
    assert state(database) == before
    assert not list(database.glob("*.ldb"))
    expected = real_batches(database, tmp_path)
    assert list(database.glob("*.ldb"))
    for got in (fresh, batches(database, tmp_path)):
        assert np.array_equal(got["data"], expected["data"])
        assert np.array_equal(got["label"], expected["label"])
    assert list(expected["label"].ravel()[:24]) == [*range(0, 69, 3), 0]


@needs_caffe
def test_tools_are_real_caffes(images: Path, tmp_path: Path) -> None:
    """Ours is read by real Caffe; records, means and logs are the same."""
    done = {name: convert(run, images, tmp_path / name) for name, run in (("real", caffe), ("own", ours))}
    expected = real_batches(tmp_path / "real", tmp_path)
    got = real_batches(tmp_path / "own", tmp_path)
    assert np.array_equal(got["data"], expected["data"])
    assert np.array_equal(got["label"], expected["label"])
    assert list(LevelDbReader(str(tmp_path / "own")).once()) == list(LevelDbReader(str(tmp_path / "real")).once())
    check_same_log(cleaned(done["own"].stderr), [s.replace("/real", "/own") for s in cleaned(done["real"].stderr)])
    mean = ("compute_image_mean", "--backend=leveldb", tmp_path / "own")
    own, real = ours(*mean, tmp_path / "a.mean"), caffe(*mean, tmp_path / "b.mean")
    assert (own.returncode, real.returncode) == (0, 0), own.stderr
    assert (tmp_path / "a.mean").read_bytes() == (tmp_path / "b.mean").read_bytes()
    check_same_log(cleaned(own.stderr), [line.replace("b.mean", "a.mean") for line in cleaned(real.stderr)])


def write(path: Path, count: int = 30, tables: bool = False) -> list[tuple[bytes, bytes]]:
    """A database of one-image Datums, in its log or in a table; its records."""
    records = []
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 4, (3, 12, 11), np.uint8)
        datum = caffe_pb2.Datum(channels=3, height=12, width=11, data=pixels.tobytes(), label=i)
        records.append((b"%08d" % i, datum.SerializeToString()))
    with LevelDbWriter(str(path)) as writer:
        for key, value in reversed(records):
            writer.put(key, value)
    if tables:
        plyvel.DB(str(path)).close()
    return records


@pytest.mark.parametrize("tables", [False, True], ids=["log", "table"])
def test_a_database_is_shared_and_left_alone(tmp_path: Path, tables: bool) -> None:
    """Two readers and whoever holds its lock, in a folder that takes no file; nothing stays behind."""
    records = write(tmp_path / "db", tables=tables)
    before, temporary = state(tmp_path / "db"), tmp_path / "tmp"
    temporary.mkdir()
    (tmp_path / "db").chmod(0o555)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(temporary))
        first, second = LevelDbReader(str(tmp_path / "db")), LevelDbReader(str(tmp_path / "db"))
        assert len(list(temporary.iterdir())) == 2
        endless = second.records()
        assert list(first.once()) == [next(endless) for _ in records] == records
        assert next(endless) == records[0]
        assert first.count == len(records)
        endless.close()
        del first, second, endless
    assert not list(temporary.iterdir())
    assert state(tmp_path / "db") == before
    (tmp_path / "db").chmod(0o755)
    holder = plyvel.DB(str(tmp_path / "db"))
    assert list(LevelDbReader(str(tmp_path / "db")).once()) == records
    holder.close()


def test_more_records_than_one_commit(tmp_path: Path) -> None:
    with LevelDbWriter(str(tmp_path / "db")) as writer:
        for i in range(2001):
            writer.put(b"%08d" % i, b"%d" % (i * i))
    assert [value for _, value in LevelDbReader(str(tmp_path / "db")).once()] == [b"%d" % (i * i) for i in range(2001)]


def spoil(folder: Path, what: str) -> None:
    if what == "no folder":
        shutil.rmtree(folder)
    elif what == "lmdb":
        (folder / "CURRENT").unlink()
        (folder / "data.mdb").touch()
    elif what == "other":
        (folder / "CURRENT").unlink()
    elif what == "no table":
        next(folder.glob("*.ldb")).unlink()
    elif what == "empty":
        shutil.rmtree(folder)
        plyvel.DB(str(folder), create_if_missing=True).close()
    elif what == "no manifest":
        next(folder.glob("MANIFEST*")).unlink()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no folder", "there is no LevelDB folder .*/db'"),
        ("lmdb", "(?s)/db' is no LevelDB: it has no file CURRENT.*it is an LMDB: say backend: LMDB"),
        ("other", "is it another format"),
        ("no table", "(?s)the LevelDB .*/db' is damaged: .*missing files.*build it again"),
        ("no manifest", "/db' is damaged: .*CURRENT points to a non-existent file"),
        ("empty", "/db' has no records"),
    ],
)
def test_what_is_no_database(tmp_path: Path, what: str, said: str) -> None:
    write(tmp_path / "db", tables=True)
    spoil(tmp_path / "db", what)
    (tmp_path / "net.prototxt").write_text(NET % (tmp_path / "db"))
    with pytest.raises(CaffeError, match=said) as caught:
        Net(str(tmp_path / "net.prototxt"), TRAIN)
    assert "layer 'd' (Data): " in str(caught.value)


def test_without_plyvel_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "db")
    monkeypatch.setitem(sys.modules, "plyvel", None)
    (tmp_path / "net.prototxt").write_text(NET % (tmp_path / "db"))
    with pytest.raises(CaffeError, match=r"(?s)LevelDB needs the package plyvel.*pip install plyvel"):
        Net(str(tmp_path / "net.prototxt"), TRAIN)
    with pytest.raises(CaffeError, match="pip install plyvel"):
        LevelDbWriter(str(tmp_path / "new"))


def test_tools_fail_in_one_line(images: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "db")
    made = ["--backend=leveldb", f"{images}/", str(images / "list")]
    for main, arguments, said in (
        (convert_imageset.main, [*made, str(tmp_path / "db")], "Failed to open leveldb .* exists"),
        (convert_imageset.main, [*made, str(tmp_path / "no" / "db")], "Failed to open leveldb .*No such file"),
        (compute_image_mean.main, ["--backend=leveldb", str(tmp_path / "none")], "there is no LevelDB folder"),
        (compute_image_mean.main, ["--backend=x", str(tmp_path / "db")], r"backend 'x' \(known: lmdb, leveldb\)"),
    ):
        assert main(arguments) == 1
        last = capfd.readouterr().err.splitlines()[-1]
        assert last[0] == "F"
        assert re.search(said, last), last


def test_a_leveldb_is_no_lmdb(tmp_path: Path) -> None:
    write(tmp_path / "db")
    (tmp_path / "net.prototxt").write_text((NET % (tmp_path / "db")).replace("batch_size", "backend: LMDB batch_size"))
    with pytest.raises(CaffeError, match=r"(?s)is no readable LMDB.*it is a LevelDB: say backend: LEVELDB"):
        Net(str(tmp_path / "net.prototxt"), TRAIN)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, tuple[Path, list[tuple[bytes, bytes]]]]:
    folder = tmp_path_factory.mktemp("stored")
    return {tables: (folder / str(tables), write(folder / str(tables), tables=tables)) for tables in (False, True)}


@settings(
    derandomize=True, deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    tables=st.booleans(),
    which=st.integers(0, 2),
    at=st.one_of(st.floats(0, 1), st.floats(0, 1e-3), st.floats(0.98, 1)),
    bit=st.one_of(st.none(), st.integers(0, 7)),
)
def test_damage_is_said_or_does_no_harm(
    stored: Any, tmp_path: Path, tables: bool, which: int, at: float, bit: int | None
) -> None:
    """One file is cut, or one of its bits flipped: a truncated log, too, whose rest LevelDB itself would go without."""
    source, records = stored[tables]
    copy = tmp_path / "db"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    files = sorted(p for p in copy.iterdir() if p.stat().st_size and not p.name.startswith("LO"))
    data = bytearray(files[which % len(files)].read_bytes())
    place = min(int(at * len(data)), len(data) - 1)
    if bit is None:
        del data[place:]
    else:
        data[place] ^= 1 << bit
    files[which % len(files)].write_bytes(data)
    try:
        got = list(LevelDbReader(str(copy)).once())
    except CaffeError as error:
        assert str(copy) in str(error)
        assert "leveldb-" not in str(error)
    else:
        assert got == records
