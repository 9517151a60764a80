from __future__ import annotations

import threading
import zipfile
from functools import partial
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from foolcaffe.datasets import demo
from foolcaffe.datasets.tiny_imagenet import unpack
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import read_image
from helpers import fails, run, succeeds


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    demo.build(folder, quiet=True)
    return folder


def test_demo_has_the_promised_size(built: Path) -> None:
    classes = sorted(p.name for p in (built / "train").iterdir())
    assert classes == sorted(demo.PHOTOS)
    assert len(classes) >= 12
    for name in classes:
        assert len(list((built / "train" / name).iterdir())) == 200
        assert len(list((built / "val" / name).iterdir())) == 50
    sizes = {read_image(p).size for p in (built / "train").glob("*/*_7.JPEG")}
    assert all(h == w >= 64 for h, w in sizes)


def test_demo_is_the_same_for_the_same_seed(built: Path, tmp_path: Path) -> None:
    demo.build(tmp_path / "again", quiet=True)
    demo.build(tmp_path / "other", seed=2, quiet=True)

    def content(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*_3.JPEG")}

    assert content(tmp_path / "again") == content(built)
    assert content(tmp_path / "other") != content(built)


@pytest.mark.parametrize("shape", [(90, 200), (200, 90), (100, 100)])
def test_demo_validation_regions_are_never_seen_in_training(shape: tuple[int, int]) -> None:
    """Every pixel of the photograph is painted with its own value: the two regions share none."""
    from foolcaffe.datasets.demo import _region
    from foolcaffe.images import Rgb8

    numbers = np.arange(shape[0] * shape[1])
    pixels = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], axis=1).astype(np.uint8)
    photo = Rgb8(pixels.reshape(*shape, 3))
    parts = [{bytes(p) for p in _region(photo, part).reshape(-1, 3)} for part in ("train", "val")]
    assert not parts[0] & parts[1]
    assert len(parts[0] | parts[1]) == numbers.size


def tiny_zip(path: Path, *, extra: str = "", leave_out: str = "") -> Path:
    content = {
        "wnids.txt": "n1\n",
        "words.txt": "n1\tone\n",
        "val/val_annotations.txt": "v.JPEG\tn1\t0\t0\t1\t1\n",
        "val/images/v.JPEG": "x" * 1000,
        "train/n1/images/n1_0.JPEG": "y" * 1000,
    }
    with zipfile.ZipFile(path, "w") as zipped:
        for name, text in content.items():
            if name != leave_out:
                zipped.writestr(f"tiny-imagenet-200/{name}", text)
        if extra:
            zipped.writestr(extra, "evil")
    return path


def test_zip_is_unpacked_without_its_leading_folder(tmp_path: Path) -> None:
    unpack(tiny_zip(tmp_path / "t.zip"), tmp_path / "out", quiet=True)
    assert (tmp_path / "out" / "train" / "n1" / "images" / "n1_0.JPEG").read_text() == "y" * 1000


@pytest.mark.parametrize("extra", ["../evil", "/tmp/evil", "tiny-imagenet-200/../../evil"])
def test_a_zip_that_would_leave_the_folder_is_refused(tmp_path: Path, extra: str) -> None:
    with pytest.raises(FoolCaffeError, match="would leave the folder"):
        unpack(tiny_zip(tmp_path / "t.zip", extra=extra), tmp_path / "out", quiet=True)


def test_another_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FoolCaffeError, match=r"not Tiny ImageNet: words\.txt missing"):
        unpack(tiny_zip(tmp_path / "t.zip", leave_out="words.txt"), tmp_path / "out", quiet=True)


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = tiny_zip(tmp_path / "t.zip")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"yyyy", b"zzzz", 1))
    with pytest.raises(FoolCaffeError, match="truncated or damaged"):
        unpack(path, tmp_path / "out", quiet=True)


def test_the_command_leaves_nothing_of_a_failed_unpacking(tmp_path: Path) -> None:
    path = tiny_zip(tmp_path / "t.zip")
    path.write_bytes(path.read_bytes()[:-300])
    done = run("datasets", "tiny-imagenet", "--zip", path, "--out", tmp_path / "out")
    fails(done, "truncated or damaged")
    assert [p.name for p in tmp_path.iterdir()] == ["t.zip"]


@pytest.mark.usefixtures("real_caffe")  # in one Python: this is no engine's
def test_the_download_path_of_the_real_half(shared: Path, tmp_path: Path) -> None:
    """Over HTTP from a server on this machine; the truncated copy has the wrong checksum and is refused."""
    whole = (shared / "tiny-imagenet-half.zip").read_bytes()
    served = tmp_path / "served"
    served.mkdir()
    (served / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (served / "whole.zip").symlink_to(shared / "tiny-imagenet-half.zip")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        checksum = "md5:" + md5(whole, usedforsecurity=False).hexdigest()
        base = f"http://127.0.0.1:{server.server_port}"
        command = ["datasets", "--quiet", "tiny-imagenet", "--out", tmp_path / "data" / "tiny", "--checksum", checksum]
        fails(run(*command, "--url", f"{base}/cut.zip"), "wrong checksum")
        assert not (tmp_path / "data" / "tiny").exists()
        succeeds(run(*command, "--url", f"{base}/whole.zip"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(list((tmp_path / "data" / "tiny" / "train").glob("*/images/*.JPEG"))) == 50_000
    assert succeeds(run(*command)).strip().endswith("is there already")
