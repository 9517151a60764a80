"""Data, ImageData, HDF5Data and HDF5Output: the records, draws and pixels of real Caffe, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import data_script
import h5py
import lmdb
import numpy as np
import pytest

import torchcaffe
from caffefiles.errors import CaffeError
from parity import HERE
from torchcaffe.data import images
from torchcaffe.data.shuffle import c_rand

GOLDEN = HERE / "goldens" / "data.npz"
CAFFE = HERE.parents[1] / ".caffe" / "bin" / "python"


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.fixture
def caffe(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in [name for name in sys.modules if name.partition(".")[0] == "caffe"]:
        monkeypatch.delitem(sys.modules, name)
    torchcaffe.install()
    return sys.modules["caffe"]


@pytest.fixture
def files(caffe: Any, stored: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stored images, their LMDBs and HDF5 files, in the working folder."""
    monkeypatch.chdir(tmp_path)
    data_script.lay_out({k[len("file|") :]: v.tobytes() for k, v in stored.items() if k.startswith("file|")})
    c_rand.__init__()  # type: ignore[misc]  # as in a new process
    return tmp_path


def same(ours: dict[str, Any], stored: dict[str, Any], name: str) -> None:
    theirs = {key: value for key, value in stored.items() if key.startswith(f"{name}|")}
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        assert ours[key].shape == value.shape, key
        assert np.array_equal(ours[key], value), f"{key}: {np.abs(ours[key] - value).max()}"


@pytest.mark.parametrize("name", data_script.NETS)
def test_as_in_real_caffe(caffe: Any, files: Path, stored: dict[str, Any], name: str) -> None:
    same(data_script.run(caffe, name), stored, name)


def test_hdf5_output_as_in_real_caffe(caffe: Any, files: Path, stored: dict[str, Any]) -> None:
    same(data_script.hdf5_output(caffe), stored, "hdf5_output")


@pytest.mark.slow
def test_goldens_are_what_real_caffe_gives_now(tmp_path: Path, stored: dict[str, Any]) -> None:
    if not CAFFE.exists():
        pytest.skip("real Caffe is not installed (.caffe)")
    copy = tmp_path / "data.npz"
    copy.write_bytes(GOLDEN.read_bytes())
    subprocess.run([CAFFE, "-W", "ignore", HERE / "data_script.py", copy], check=True, capture_output=True)
    with np.load(copy) as now:
        assert set(now) == set(stored)
        for key in now:
            assert np.array_equal(now[key], stored[key]), key


def test_hdf5_output_takes_one_batch(caffe: Any, files: Path) -> None:
    data_script.hdf5_output(caffe)
    net = caffe.Net("o.prototxt", caffe.TRAIN)
    net.forward()
    with pytest.raises(CaffeError, match=r"layer 'o' \(HDF5Output\): 'out.h5' holds a batch already"):
        net.forward()
    Path("o.prototxt").write_text(Path("o.prototxt").read_text().replace("out.h5", "none/out.h5"))
    with pytest.raises(CaffeError, match=r"cannot write 'none/out.h5'"):
        caffe.Net("o.prototxt", caffe.TRAIN)


def edit(files: Path, what: str) -> None:
    """Spoil something that a net reads."""
    if what == "no list":
        (files / "list.txt").unlink()
    elif what == "empty list":
        (files / "list.txt").write_text("")
    elif what == "no label":
        (files / "list.txt").write_text("im/b0.png 1\nim/b2.png\n")
    elif what == "no image":
        (files / "im" / "b0.png").unlink()
    elif what == "half an image":
        (files / "im" / "b0.png").write_bytes((files / "im" / "b0.png").read_bytes()[:30])
    elif what == "text":
        (files / "1.h5").write_text("no HDF5")
    elif what == "no file":
        (files / "1.h5").unlink()
    elif what in ("no dataset", "rows", "strings", "scalar"):
        with h5py.File(files / "1.h5", "a") as file:
            del file["label"]
            if what != "no dataset":
                file["label"] = {"rows": np.zeros((4, 1)), "strings": b"text", "scalar": 3.0}[what]
    elif what == "other shape":
        with h5py.File(files / "1.h5", "w") as file:
            file["data"], file["label"] = np.zeros((3, 2, 4)), np.zeros((3, 1))


@pytest.mark.parametrize(
    ("net", "what", "said"),
    [
        ("images", "no list", r"layer 'd' \(ImageData\): cannot use 'list.txt': no such file"),
        ("images", "empty list", "the list 'list.txt' is empty"),
        ("images", "no label", r"list.txt:2: 'im/b2.png' is no line `<path> <label>`"),
        ("images", "no image", r"(?s)the image './im/b0.png' cannot be decoded.*'list.txt'"),
        ("images", "half an image", r"the image './im/b0.png' cannot be decoded"),
        ("hdf5", "text", r"layer 'h' \(HDF5Data\): '1.h5' is no readable HDF5 file"),
        ("hdf5", "no file", r"'1.h5' is no readable HDF5 file.*"),
        ("hdf5", "no dataset", r"(?s)'1.h5' has no dataset 'label'.*it has: data"),
        ("hdf5", "rows", "have 11, 4 rows"),
        ("hdf5", "strings", "the dataset 'label' of '1.h5' is"),
        ("hdf5", "scalar", r"the dataset 'label' of '1.h5' is float64 of shape \(\)"),
        ("hdf5_two", "other shape", r"rows of shapes .* in '1.h5', the first file has"),
    ],
)
def test_damaged_files(caffe: Any, files: Path, net: str, what: str, said: str) -> None:
    edit(files, what)
    with pytest.raises(CaffeError, match=said):
        data_script.run(caffe, net)


@pytest.mark.parametrize(
    ("net", "old", "new", "said"),
    [
        ("images", "new_width: 18", "", "new_height and new_width must be set at the same time"),
        ("images", "batch_size: 4", "batch_size: 0", "batch_size must be positive"),
        ("images", "new_height: 15 new_width: 18", "", r"(?s)the first of its batch has .*give new_height"),
        ("images", "transform_param {", "transform_param { crop_size: 16", "crop_size 16 exceeds records of shape"),
        ("hdf5", "one.txt", "none.txt", "cannot use 'none.txt'"),
        ("hdf5", "hdf5_data_param", "transform_param { scale: 2 } hdf5_data_param", "does not transform data"),
        ("grey", "mirror: true", "force_color: true force_gray: true", "both force_color and force_gray"),
    ],
)
def test_bad_parameters(
    caffe: Any, files: Path, monkeypatch: pytest.MonkeyPatch, net: str, old: str, new: str, said: str
) -> None:
    assert old in data_script.NETS[net]
    monkeypatch.setitem(data_script.NETS, net, data_script.NETS[net].replace(old, new))
    with pytest.raises(CaffeError, match=said):
        data_script.run(caffe, net)


def test_an_encoded_record_that_is_no_image_is_named(caffe: Any, files: Path) -> None:
    from caffefiles.proto import caffe_pb2

    datum = caffe_pb2.Datum(data=b"no image", label=1, encoded=True).SerializeToString()
    with lmdb.open("png", map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"00000002", datum)
    with pytest.raises(CaffeError, match="the image in record '00000002' of 'png' cannot be decoded"):
        data_script.run(caffe, "png")


def test_sixteen_bits_are_refused(tmp_path: Path) -> None:
    import cv2

    _, png = cv2.imencode(".png", np.arange(30, dtype=np.uint16).reshape(5, 6) * 900)
    with pytest.raises(CaffeError, match="x has pixels of type uint16"):
        images.decode(png.tobytes(), "x")


def test_solvers_share_rows(caffe: Any, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caffe.set_solver_count(3)
    try:
        seen = []
        for rank in range(3):
            caffe.set_solver_rank(rank)
            result = data_script.run(caffe, "hdf5")
            seen.append([int(x) for k in range(2) for x in result[f"hdf5|{k}|label"].ravel()])
        assert seen == [[(50 + (rank + 3 * i) % 11) for i in range(8)] for rank in range(3)]
    finally:
        caffe.set_solver_count(1)
        caffe.set_solver_rank(0)
