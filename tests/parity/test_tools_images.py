"""``convert_imageset`` and ``compute_image_mean``: keys, values and means are real Caffe's, byte for byte."""

from __future__ import annotations

from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image
from programs import caffe, check_same_log, cleaned, needs_caffe, ours
from training import write_db

from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from torchcaffe.data.datum import read_datum
from torchcaffe.tools import compute_image_mean, convert_imageset


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEGs (grey, rotated by EXIF, progressive, CMYK, odd sampling, cut short), PNGs, a BMP, text; and a list."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(8)
    names = []

    def picture(height: int, width: int, channels: int = 3) -> Image.Image:
        coarse = random.integers(0, 256, (height // 7 + 2, width // 5 + 2, channels)).repeat(7, 0).repeat(5, 1)
        pixels = np.clip(coarse[:height, :width] + random.normal(0, 9, (height, width, channels)), 0, 255)
        return Image.fromarray(pixels.astype(np.uint8).squeeze())

    def save(name: str, image: Image.Image, **options: object) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        image.save(folder / name, **options)
        names.append(name)

    for i in range(9):
        save(f"a/{i}.jpg", picture(40 + 7 * i, 90 - 5 * i), quality=60 + 4 * i)
    save("a/grey one.JPEG", picture(50, 31, 1))
    turned = Image.Exif()
    turned[0x0112] = 6
    save("turned.jpg", picture(33, 57), exif=turned)
    save("turned.png", picture(21, 35), exif=turned)
    save("progressive.jpg", picture(64, 48), progressive=True)
    save("sampled.jpg", picture(61, 47), subsampling=1)
    save("ink.jpg", picture(44, 36).convert("CMYK"))
    save("alpha.png", picture(28, 39, 4))
    save("grey.png", picture(19, 23, 1))
    save("flat.bmp", picture(26, 18))
    whole = (folder / "a/3.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.jpg").touch()
    names += ["cut.jpg", "text.jpg", "empty.jpg", "nowhere.jpg"]
    (folder / "list").write_text("".join(f"{name} {7 * i - 3}\n" for i, name in enumerate(names)))
    return folder


def records(path: Path) -> list[tuple[bytes, bytes]]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return list(transaction.cursor())


@needs_caffe
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--resize_height", "23", "-resize_width=31"],
        ["--gray", "--resize_height=64", "--resize_width=17"],
        ["-resize_height", "23"],
        ["--encoded"],
        ["--encode_type", "png", "--resize_height=20", "--resize_width=27"],
        ["--encoded", "--encode_type=jpg", "--gray"],
    ],
    ids=" ".join,
)
def test_records_are_real_caffes(options: list[str], images: Path, tmp_path: Path) -> None:
    real = caffe("convert_imageset", *options, f"{images}/", images / "list", tmp_path / "real")
    own = ours("convert_imageset", *options, f"{images}/", images / "list", tmp_path / "own")
    assert (own.returncode, real.returncode) == (0, 0), own.stderr
    assert records(tmp_path / "own") == records(tmp_path / "real")
    said = [
        [line.replace("/real", "/own") for line in cleaned(done.stderr) if line[:2] in ("I ", "E ")]
        for done in (own, real)
    ]
    check_same_log(*said)


@needs_caffe
@pytest.mark.slow
def test_records_and_mean_of_photographs_are_real_caffes(shared: Path, tmp_path: Path) -> None:
    samples = sorted((shared / "imagenet-samples").glob("*.JPEG"))
    listing = tmp_path / "list"
    listing.write_text("".join(f"{path.name} {i}\n" for i, path in enumerate(samples)))
    size = ["--resize_height=64", "--resize_width=64"]
    for run, name in ((caffe, "real"), (ours, "own")):
        assert run("convert_imageset", *size, f"{samples[0].parent}/", listing, tmp_path / name).returncode == 0
        assert run("compute_image_mean", tmp_path / name, tmp_path / f"{name}.mean").returncode == 0
    assert records(tmp_path / "own") == records(tmp_path / "real")
    assert len(records(tmp_path / "own")) == len(samples)
    assert (tmp_path / "own.mean").read_bytes() == (tmp_path / "real.mean").read_bytes()


@needs_caffe
def test_a_mean_is_real_caffes_even_where_float32_rounds(tmp_path: Path) -> None:
    write_db(tmp_path)
    random = np.random.default_rng(2)
    bright = tmp_path / "bright"  # sums past 2**24 need thousands of records: floats get there sooner
    with lmdb.open(str(bright), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for i in range(31):
            datum = caffe_pb2.Datum(channels=2, height=3, width=5, label=i)
            datum.float_data.extend((random.random(30) * 3e6).astype(np.float32).tolist())
            transaction.put(b"%08d" % i, datum.SerializeToString())
    for name in ("db", "bright"):
        real = caffe("compute_image_mean", tmp_path / name, tmp_path / "real")
        own = ours("compute_image_mean", tmp_path / name, tmp_path / "own")
        assert (own.returncode, real.returncode) == (0, 0), own.stderr
        assert (tmp_path / "own").read_bytes() == (tmp_path / "real").read_bytes()
        check_same_log([line.replace("/own", "/real") for line in cleaned(own.stderr)], cleaned(real.stderr))


@needs_caffe
def test_a_list_is_read_as_real_caffe_reads_it(images: Path, tmp_path: Path) -> None:
    """The label is atoi of what follows the last space: tabs, no label, signs, overflow, empty lines, no newline."""
    lines = [
        "a/1.jpg 12x",
        "a/2.jpg",
        "",
        "a/3.jpg  -4",
        "a/4.jpg\t5 6",
        "a/5.jpg +7",
        "a/6.jpg 99999999999",
        "a/7.jpg ",
    ]
    listing = tmp_path / "list"
    listing.write_text("\n".join(lines))
    for run, name in ((caffe, "real"), (ours, "own")):
        assert run("convert_imageset", f"{images}/", listing, tmp_path / name).returncode == 0
    assert records(tmp_path / "own") == records(tmp_path / "real")
    assert len(records(tmp_path / "own")) >= 3


def test_a_shuffle_keeps_every_line_and_numbers_the_new_order(images: Path, tmp_path: Path) -> None:
    database = tmp_path / "db"
    assert ours("convert_imageset", "--shuffle", f"{images}/", images / "list", database).returncode == 0
    stored = records(database)
    numbers = [int(key[:8]) for key, _ in stored]
    names = [key[9:].decode() for key, _ in stored]
    listed = [line.rpartition(" ")[0] for line in (images / "list").read_text().splitlines()]
    readable = [name for name in listed if name in set(names)]
    assert sorted(names) == sorted(readable)
    assert names != readable
    assert numbers == sorted(numbers)
    assert numbers[-1] < len(listed)


def test_shuffles_reach_every_order() -> None:
    lines = [(b"%d" % i, i) for i in range(3)]
    found = {tuple(label for _, label in convert_imageset.shuffled(lines, seed)) for seed in range(60)}
    assert len(found) == 6


@pytest.mark.parametrize(
    ("options", "said"), [(["--backend=hdf5"], "known: lmdb, leveldb"), (["--check_size"], "Incorrect data field size")]
)
def test_convert_imageset_fails_in_one_line(
    options: list[str], said: str, images: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert convert_imageset.main([*options, f"{images}/", str(images / "list"), str(tmp_path / "db")]) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last[0] == "F"
    assert said in last


def test_what_is_there_already_and_what_is_missing_are_said(
    images: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (
        (["x/", str(tmp_path / "nolist"), str(tmp_path / "db")], "no such file"),
        ([f"{images}/", str(images / "list"), str(tmp_path)], f"mkdir {tmp_path} failed"),
        ([f"{images}/", str(images / "list"), str(tmp_path / "no" / "db")], "No such file or directory"),
    ):
        assert convert_imageset.main(arguments) == 1
        assert said in capfd.readouterr().err.splitlines()[-1]
    assert convert_imageset.main(["a", "b"]) == 1
    assert "Usage" in capfd.readouterr().err
    assert compute_image_mean.main([str(tmp_path / "nodb"), str(tmp_path / "mean")]) == 1
    assert "there is no LMDB folder" in capfd.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_a_mean_of_records_that_differ_in_size_is_refused(
    images: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ours("convert_imageset", f"{images}/", images / "list", tmp_path / "db").returncode == 0
    assert compute_image_mean.main([str(tmp_path / "db"), str(tmp_path / "mean")]) == 1
    assert "Incorrect data field size" in capfd.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "mean").exists()


def test_encoded_records_are_decoded_with_the_channels_asked_for(images: Path) -> None:
    data = (images / "a/2.jpg").read_bytes()
    grey = (images / "a/grey one.JPEG").read_bytes()
    for value, options, channels in (
        (data, {}, 3),
        (data, {"color": False}, 1),
        (grey, {}, 1),
        (grey, {"color": True}, 3),
    ):
        datum = caffe_pb2.Datum(data=value, encoded=True, label=4)
        record = read_datum(datum.SerializeToString(), b"k", "db", **options)
        assert record.pixels.shape[0] == channels
        assert record.label == 4
    for value in (b"", b"no image", data[:40]):
        datum = caffe_pb2.Datum(data=value, encoded=True)
        with pytest.raises(CaffeError, match="the image in record 'k' of 'db' cannot be decoded"):
            read_datum(datum.SerializeToString(), b"k", "db")
