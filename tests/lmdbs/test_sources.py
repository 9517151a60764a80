"""Archives and batches give the same records as the folders they were made of, and are not trusted."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from foolcaffe.archives import archives, unpickle
from foolcaffe.errors import FoolCaffeError
from lmdbs import zoo
from lmdbs.tools import records, run

WNIDS = ("n01440764", "n01443537", "n02099601")


def ilsvrc(folder: Path) -> dict[str, bytes]:
    """Four images in each of three classes, named as ILSVRC's are."""
    images = {
        f"{w}/{w}_{i * 7}.JPEG": zoo.jpeg(zoo.photo(30 + i, 50 - c, seed=9 * c + i))
        for c, w in enumerate(WNIDS)
        for i in range(4)
    }
    zoo.folder(folder, images)
    return images


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def train_tar(images: dict[str, bytes]) -> bytes:
    """A tar of a tar a class, as ILSVRC2012_img_train.tar is."""
    return tar_of(
        {f"{w}.tar": tar_of({n.split("/")[1]: d for n, d in images.items() if n.startswith(w)}) for w in WNIDS}
    )


def same_as_folder(tmp_path: Path, source: Path | str, listing: Path, *flags: object) -> None:
    run("build", tmp_path / "folder", listing, tmp_path / "a", *flags)
    run("build", source, listing, tmp_path / "b", *flags)
    assert records(tmp_path / "a") == records(tmp_path / "b")


def test_tar_of_tars(tmp_path: Path) -> None:
    images = ilsvrc(tmp_path / "folder")
    tar = tmp_path / "ILSVRC2012_img_train.tar"
    tar.write_bytes(train_tar(images))
    names = tmp_path / "words.txt"
    names.write_text("".join(f"{w}\tname of {w}\n" for w in (*WNIDS, "n00000001")))
    done = run("list", tar, tmp_path / "train.txt", "--words", tmp_path / "synset_words.txt", "--names", names)
    assert "12 images of 3 classes" in done.stdout
    expected = sorted(f"{n} {WNIDS.index(n[:9])}\n" for n in images)
    assert sorted((tmp_path / "train.txt").read_text().splitlines(keepends=True)) == expected
    assert (tmp_path / "synset_words.txt").read_text().splitlines()[1] == "n01443537 name of n01443537"
    same_as_folder(tmp_path, tar, tmp_path / "train.txt", "--shuffle", 5)


def test_val_tar_with_caffes_labels_and_the_devkits(tmp_path: Path) -> None:
    from scipy.io import savemat

    images = {f"ILSVRC2012_val_{i:08d}.JPEG": zoo.jpeg(zoo.photo(30 + i, 50 - i, seed=i)) for i in range(1, 6)}
    zoo.folder(tmp_path / "folder", images)
    tar = tmp_path / "ILSVRC2012_img_val.tar"
    tar.write_bytes(tar_of(images))
    ids = [3, 1, 2, 2, 3]  # ILSVRC2012_ID; its order is not that of the wnids
    by_id = {1: WNIDS[2], 2: WNIDS[0], 3: WNIDS[1]}
    fields = [("ILSVRC2012_ID", "i4"), ("WNID", "O"), ("words", "O"), ("num_children", "i4")]
    rows = [(i, w, f"words of {w}", 0) for i, w in by_id.items()] + [(1001, "n00001740", "entity", 3)]
    mat = io.BytesIO()
    savemat(mat, {"synsets": np.array(rows, dtype=fields)})
    devkit = tmp_path / "ILSVRC2012_devkit_t12.tar"
    truth = "".join(f"{i}\n" for i in ids).encode()
    devkit.write_bytes(
        tar_of({"k/data/meta.mat": mat.getvalue(), "k/data/ILSVRC2012_validation_ground_truth.txt": truth})
    )
    run("list", tar, tmp_path / "val.txt", "--labels", devkit, "--words", tmp_path / "w.txt", "--names", devkit)
    labels = [WNIDS.index(by_id[i]) for i in ids]
    assert (tmp_path / "val.txt").read_text() == "".join(f"{n} {c}\n" for n, c in zip(images, labels))
    assert (tmp_path / "w.txt").read_text().splitlines()[2] == f"{WNIDS[2]} words of {WNIDS[2]}"
    (tmp_path / "caffes.txt").write_text((tmp_path / "val.txt").read_text())
    run("list", tar, tmp_path / "again.txt", "--labels", tmp_path / "caffes.txt")
    assert (tmp_path / "again.txt").read_text() == (tmp_path / "val.txt").read_text()
    same_as_folder(tmp_path, tar, tmp_path / "val.txt")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_zip_in_kaggles_layout(tmp_path: Path, method: int) -> None:
    images = ilsvrc(tmp_path / "folder")
    packed = tmp_path / "imagenet-object-localization-challenge.zip"
    with zipfile.ZipFile(packed, "w", method) as zipped:
        zipped.writestr("LOC_synset_mapping.txt", "".join(f"{w} name of {w}, other\n" for w in WNIDS))
        for name, data in images.items():
            zipped.writestr(f"ILSVRC/Data/CLS-LOC/train/{name}", data)
            zipped.writestr(f"ILSVRC/Data/CLS-LOC/val/V_{name[10:]}", data)
    source = f"{packed}/ILSVRC/Data/CLS-LOC/train"
    run("list", source, tmp_path / "train.txt", "--words", tmp_path / "w.txt")
    assert (tmp_path / "w.txt").read_text().startswith("n01440764 name of n01440764, other\n")
    same_as_folder(tmp_path, source, tmp_path / "train.txt")
    solution = tmp_path / "LOC_val_solution.csv"
    boxes = "".join(f"V_{n[10:-5]},{n[:9]} 1 2 3 4 {n[:9]} 5 6 7 8 \n" for n in images)
    solution.write_text("ImageId,PredictionString\n" + boxes)
    run("list", f"{packed}/ILSVRC/Data/CLS-LOC/val", tmp_path / "val.txt", "--labels", solution)
    assert f"V_{WNIDS[2]}_7.JPEG 2\n" in (tmp_path / "val.txt").read_text()


def batch(count: int, side: int, seed: int) -> tuple[np.ndarray, list[int]]:
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (count, 3 * side * side), dtype=np.uint8), (draw.integers(1, 4, count)).tolist()


@pytest.mark.parametrize("kind", ["npz", "npz-packed", "pickle2", "pickle4", "python2"])
@pytest.mark.parametrize("side", [64, 8])
def test_downsampled_imagenet(tmp_path: Path, kind: str, side: int) -> None:
    (tmp_path / "b").mkdir()
    pixels, labels = [], []
    for number in (1, 2, 10):
        data, found = batch(3 + number, side, number)
        name = tmp_path / "b" / f"train_data_batch_{number}"
        if kind == "npz":
            np.savez(f"{name}.npz", data=data, labels=np.array(found), mean=data.mean(0))
        elif kind == "npz-packed":
            np.savez_compressed(f"{name}.npz", data=data, labels=np.array(found))
        elif kind == "python2":
            name.write_bytes(python2_pickle(data, found))
        else:
            name.write_bytes(
                pickle.dumps({"data": data, "labels": found, "mean": data.mean(0)}, protocol=int(kind[-1]))
            )
        pixels.append(data)
        labels += found
    (tmp_path / "map_clsloc.txt").write_text(f"{WNIDS[2]} 1 retriever\n{WNIDS[0]} 2 tench\n{WNIDS[1]} 3 goldfish\n")
    run("list", tmp_path / "b", tmp_path / "list.txt", "--labels", tmp_path / "map_clsloc.txt")
    run("build", tmp_path / "b", tmp_path / "list.txt", tmp_path / "db", "--size", side, "--mean", tmp_path / "mean")
    stored = records(tmp_path / "db")
    expected = np.concatenate(pixels).reshape(-1, 3, side, side)[:, ::-1]
    ids = [{1: 2, 2: 0, 3: 1}[v] for v in labels]
    assert len(stored) == len(ids) == 22
    from caffefiles.datum import datum_pixels, parse_datum

    for (key, value), image, label in zip(stored, expected, ids):
        assert parse_datum(value).label == label, key
        assert np.array_equal(datum_pixels(parse_datum(value)), image), key


def python2_pickle(data: np.ndarray, labels: list[int]) -> bytes:
    """What Python 2's cPickle wrote at protocol 2: byte strings, and NumPy's old module names."""

    def text(s: bytes) -> bytes:
        return (b"U" + bytes([len(s)]) if len(s) < 256 else b"T" + struct.pack("<i", len(s))) + s

    def whole(n: int) -> bytes:
        return b"J" + struct.pack("<i", n)

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + whole(0) + b"\x85" + text(b"b") + b"\x87R"
        b"(" + whole(1) + whole(data.shape[0]) + whole(data.shape[1]) + b"\x86"
        b"cnumpy\ndtype\n" + text(b"u1") + whole(0) + whole(1) + b"\x87R"
        b"(" + whole(3) + text(b"|") + b"NNN" + whole(-1) + whole(-1) + whole(0) + b"tb"
        b"\x89" + text(data.tobytes()) + b"tb"
    )
    rows = b"](" + b"".join(whole(n) for n in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + rows + b"u."


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize(
    "value",
    [Evil(), {"data": Evil()}, print, np.ufunc, np.array([Evil()], dtype=object)],
    ids=["reduce", "nested", "builtin", "numpy", "array"],
)
def test_pickles_do_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        Path("p").write_bytes(pickle.dumps(value, protocol=protocol))
        with pytest.raises(FoolCaffeError, match="which no array needs"):
            unpickle.load("p", 1 << 20)
    assert not Path("pwned").exists()


def test_pickle_limits(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(pickle.dumps(np.zeros(1000)))
    with pytest.raises(FoolCaffeError, match="larger than 100 bytes"):
        unpickle.load(str(tmp_path / "p"), 100)
    (tmp_path / "p").write_bytes(pickle.dumps(np.zeros(1000))[:500])
    with pytest.raises(FoolCaffeError, match="is refused"):
        unpickle.load(str(tmp_path / "p"), 1 << 20)


@pytest.mark.parametrize("cut", [700, 5000, -10_000])
def test_cut_tar_is_refused(tmp_path: Path, cut: int) -> None:
    images = ilsvrc(tmp_path / "folder")
    (tmp_path / "t.tar").write_bytes(train_tar(images)[:cut])
    said = run("build", tmp_path / "t.tar", tmp_path / "folder.txt", tmp_path / "db", expect=1).stderr
    assert "truncated or damaged" in said


def test_damaged_header_in_the_middle_is_refused(tmp_path: Path) -> None:
    """tarfile takes a damaged header for the end and would silently lose what follows."""
    images = ilsvrc(tmp_path / "folder")
    data = bytearray(tar_of(images))
    data[data.index(f"{WNIDS[1]}/".encode()) + 3] ^= 4
    (tmp_path / "t.tar").write_bytes(data)
    said = run("build", tmp_path / "t.tar", tmp_path / "folder.txt", tmp_path / "db", expect=1).stderr
    assert "t.tar is truncated or damaged" in said


def test_archives_are_never_extracted(tmp_path: Path) -> None:
    images = ilsvrc(tmp_path / "folder")
    names = {"../../escaped.JPEG": images[next(iter(images))], "/absolute.JPEG": b"x"}
    tar = tmp_path / "t.tar"
    tar.write_bytes(tar_of(names))
    with tarfile.open(tar, "a") as opened:
        link = tarfile.TarInfo("link.JPEG")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    (tmp_path / "l.txt").write_text("../../escaped.JPEG 1\nlink.JPEG 2\n")
    run("build", tar, tmp_path / "l.txt", tmp_path / "db", "--skip-bad")
    assert [k for k, _ in records(tmp_path / "db")] == [b"00000000_../../escaped.JPEG"]
    assert "no such member" in (tmp_path / "db" / "bad_images.txt").read_text()
    assert not list(tmp_path.parent.rglob("escaped.JPEG"))


def test_members_are_accounted_for(tmp_path: Path) -> None:
    images = ilsvrc(tmp_path / "folder")
    packed = tmp_path / "z.zip"
    name, data = next(iter(images.items()))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(name, data)
        zipped.writestr("bomb.JPEG", bytes(1 << 20))
        zipped.writestr("hurt.JPEG", data)
        with pytest.warns(UserWarning, match="Duplicate name"):
            zipped.writestr("bomb.JPEG", b"")
    raw = bytearray(packed.read_bytes())
    raw[raw.index(b"hurt.JPEG") + 60] ^= 0xFF
    packed.write_bytes(raw)
    (tmp_path / "l.txt").write_text(f"{name} 1\nhurt.JPEG 2\nbomb.JPEG 3\nnone.JPEG 4\n")
    run("build", packed, tmp_path / "l.txt", tmp_path / "db", "--skip-bad")
    said = (tmp_path / "db" / "bad_images.txt").read_text().splitlines()
    assert len(said) == 3
    assert "the zip is damaged there" in said[0]
    assert "two members of the archive have this name" in said[1]
    assert "no such member" in said[2]


def test_inflating_is_capped(tmp_path: Path) -> None:
    """A member that says it is small and inflates to much more is cut off, not inflated."""
    packed = tmp_path / "z.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("bomb.JPEG", bytes(50 << 20))
    raw = packed.read_bytes().replace(struct.pack("<I", 50 << 20), struct.pack("<I", 1000))
    packed.write_bytes(raw)
    (tmp_path / "l.txt").write_text("bomb.JPEG 1\n")
    said = run("build", packed, tmp_path / "l.txt", tmp_path / "db", expect=1).stderr
    assert "wrong checksum" in said


def test_archive_changed_after_the_plan(tmp_path: Path) -> None:
    images = ilsvrc(tmp_path / "folder")
    (tmp_path / "t.tar").write_bytes(tar_of(images))
    run("plan", tmp_path / "t.tar", tmp_path / "folder.txt", tmp_path / "db")
    (tmp_path / "t.tar").write_bytes(tar_of(dict(reversed(list(images.items())))))
    assert "has changed since the plan was made" in run("shard", tmp_path / "db", 0, expect=1).stderr


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"plain text", "no archive that is read here"),
        (b"\x1f\x8b123", "is compressed"),
        (b"PK\3\4 and no directory", "is truncated or damaged"),
    ],
)
def test_no_archive(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(FoolCaffeError, match=message):
        archives.kind_of(str(tmp_path / "x.tar"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"labels": [1]}, "has no 'data'"),
        ({"data": np.zeros((2, 5), np.uint8), "labels": [1, 2]}, "of shape"),
        ({"data": np.zeros((2, 192), np.float32), "labels": [1, 2]}, "float32"),
        ({"data": [1], "labels": [1]}, "is no array"),
    ],
)
def test_no_batch(tmp_path: Path, content: object, message: str) -> None:
    (tmp_path / "train_data_batch_1").write_bytes(pickle.dumps(content, protocol=4))
    (tmp_path / "l.txt").write_text("train_data_batch_1/0000000 0\n")
    assert message in run("build", tmp_path, tmp_path / "l.txt", tmp_path / "db", expect=1).stderr


def test_a_member_larger_than_files_can_be(tmp_path: Path) -> None:
    member = tarfile.TarInfo("big.JPEG")
    member.size = 1 << 62
    (tmp_path / "t.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + b"x" * 999)
    (tmp_path / "l.txt").write_text("big.JPEG 0\n")
    said = run("build", tmp_path / "t.tar", tmp_path / "l.txt", tmp_path / "db", expect=1).stderr
    assert f"{tmp_path / 't.tar'} is truncated or damaged" in said


def test_a_line_through_a_file_that_is_no_archive_is_one_bad_line(tmp_path: Path) -> None:
    listing = zoo.folder(tmp_path / "f", {"a.JPEG": zoo.jpeg(zoo.photo(9, 8))})
    listing.write_bytes(b"a.JPEG 0\na.JPEG/b.JPEG 1\n")
    run("build", tmp_path / "f", listing, tmp_path / "db", "--skip-bad")
    assert [k for k, _ in records(tmp_path / "db")] == [b"00000000_a.JPEG"]
    assert "a.JPEG is no archive that is read here\tline 2" in (tmp_path / "db" / "bad_images.txt").read_text()


def test_wordnet_names(tmp_path: Path) -> None:
    from foolcaffe.datasets import names

    line = (
        "01443537 05 n 02 goldfish 0 Carassius_auratus 0 007 @ 01443243 n 0000 | small golden or orange-red fishes  \n"
    )
    (tmp_path / "data.noun").write_text("  1 This software and database is\n" + line)
    assert names.read(tmp_path / "data.noun") == {"n01443537": "goldfish, Carassius auratus"}
    (tmp_path / "x").write_text("nothing\n")
    with pytest.raises(FoolCaffeError, match="names no class"):
        names.read(tmp_path / "x")


def test_list_without_classes_is_refused(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "f", {"a.JPEG": zoo.jpeg(zoo.photo(9, 8))})
    assert "has no class" in run("list", tmp_path / "f", tmp_path / "l.txt", expect=1).stderr
    (tmp_path / "none").mkdir()
    assert "no images in" in run("list", tmp_path / "none", tmp_path / "l.txt", expect=1).stderr


def test_a_name_that_no_list_can_carry_is_refused(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "i", {"n00000001/a\nb.JPEG": zoo.jpeg(zoo.photo(9, 8))})
    said = run("list", tmp_path / "i", tmp_path / "l.txt", expect=1).stderr
    assert "has a line break: no list can carry it" in said
    assert not (tmp_path / "l.txt").exists()


def test_a_label_is_of_ascii_digits(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "i", {"a.JPEG": zoo.jpeg(zoo.photo(9, 8))})
    (tmp_path / "val.txt").write_text("a.JPEG ²\n", encoding="utf-8")
    assert (
        "val.txt:1: no label"
        in run("list", tmp_path / "i", tmp_path / "l.txt", "--labels", tmp_path / "val.txt", expect=1).stderr
    )
