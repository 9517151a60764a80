"""From a folder of one's own images to a fooling PNG, by two commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foolcaffe import lists, photos
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import read_image
from foolcaffe.trained import find_trained
from helpers import COLOURS, fails, run, succeeds

NAMES = ["red apple", "Nana's café", "草", "dusk $HOME", "sand"]


def make_photos(root: Path, count: int = 6) -> Path:
    rng = np.random.default_rng(5)
    for name, colour in zip(NAMES, COLOURS):
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = colour + rng.normal(0, 40, (int(rng.integers(50, 90)), int(rng.integers(50, 90)), 3))
            image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            image.save(root / name / f"it's {index}.jpg", quality=90)
    return root


def test_two_commands_and_a_rebuild(engine: str, programs: None, tmp_path: Path) -> None:
    images = make_photos(tmp_path / "my photos")
    here = tmp_path / "here"
    (here / "build").mkdir(parents=True)

    def foolcaffe(*arguments: object):
        return run("__main__", *arguments, cwd=here)

    train = ["train", images, "--dataset", "mine", "--max-iter", 40, "--gpu", "cpu"]
    model = here / "build" / "mine" / "linear_softmax"
    assert succeeds(foolcaffe(*train)).splitlines()[-1] == str(model)
    assert "草" in succeeds(foolcaffe("classes"))
    done = succeeds(
        foolcaffe("fool", "--class", "red apple", "--image", images / "草" / "it's 1.jpg", "--flip", "--json")
    )
    record = json.loads(done)
    net = find_trained(str(model)).classifier()
    png = read_image(here / "build" / "mine" / "fool" / record["png"])
    assert int(net.scores(png.to_bgr())[0].argmax()) == record["target"]["id"]
    assert (record["target"]["name"], record["target"]["wnid"]) == ("red apple", "red_apple")
    assert record["before"][0]["name"] == "草"

    before = (model / "trained.json").stat().st_mtime_ns
    succeeds(foolcaffe(*train))
    assert (model / "trained.json").stat().st_mtime_ns == before  # nothing has changed: nothing is made again

    (images / "sand").rename(images / "beach")
    done = foolcaffe(*train)
    succeeds(done)
    assert "the images have changed" in done.stderr
    assert [s.name for s in find_trained(str(model)).synsets()][-2:] == ["red apple", "草"]
    assert "beach" in succeeds(foolcaffe("classes"))
    assert (here / "build" / "mine" / "old" / "1" / "linear_softmax" / "trained.json").exists()
    assert len(succeeds(foolcaffe("models")).splitlines()) == 1


def test_the_split_is_of_each_class_and_by_the_seed(tmp_path: Path) -> None:
    images = make_photos(tmp_path / "photos", count=7)
    found = lists.scan(images, seed=3, split=0.2)
    assert [name for _, name in found.synsets] == sorted(NAMES, key=lists.wnid_of)
    counts = {label: sum(own == label for _, own in found.val) for label in range(5)}
    assert counts == dict.fromkeys(range(5), 1)
    assert len(found.train) == 5 * 6
    assert not set(found.train) & set(found.val)
    assert lists.scan(images, seed=3, split=0.2) == found
    assert lists.scan(images, seed=4, split=0.2).val != found.val


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "no classes in"),
        (["a/1.jpg", "b/1.jpg", "b/2.jpg"], "the class 'a' has one image"),
        (["a b/1.jpg", "a_b/1.jpg"], "differ in spaces only"),
        (["a/1.jpg", "a/2.jpg", "b/notes.txt"], "b holds no image"),
    ],
)
def test_folders_that_cannot_be_trained_on(tmp_path: Path, paths: list[str], message: str) -> None:
    for path in paths:
        (tmp_path / "x" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / path).write_bytes(b"x")
    (tmp_path / "x").mkdir(exist_ok=True)
    with pytest.raises(FoolCaffeError, match=message):
        lists.scan(tmp_path / "x", split=0.2)


def test_a_dataset_of_another_command_is_not_overwritten(tmp_path: Path) -> None:
    images = make_photos(tmp_path / "photos", count=2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "synset_words.txt").write_text("n1 one\n")
    with pytest.raises(FoolCaffeError, match="was made of other images"):
        photos.update(images, tmp_path / "out")
    assert (tmp_path / "out" / "synset_words.txt").read_text() == "n1 one\n"


def test_the_command_says_what_it_knows(tmp_path: Path) -> None:
    assert "usage: foolcaffe COMMAND" in succeeds(run("__main__", "--help"))
    assert "usage: foolcaffe fool" in succeeds(run("__main__", "fool", "--help"))
    fails(run("__main__", "foul"), "unknown command 'foul'", "did you mean 'fool'?", code=2)
    fails(run("__main__", "train", tmp_path / "none"), "no dataset folder at")
