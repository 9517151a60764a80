from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foolcaffe.errors import FoolCaffeError
from foolcaffe.lists import _of_class, read_list, scan


def layout(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def test_ilsvrc_layout(tmp_path) -> None:
    layout(
        tmp_path,
        "train/n02/a.JPEG",
        "train/n02/sub/b.jpg",
        "train/n01/c d.png",
        "train/n01/notes.txt",
        "val/n02/v.JPEG",
    )
    (tmp_path / "synset_words.txt").write_text("n02 two, zwei\nn01 one\n")
    lists = scan(tmp_path, seed=4)
    assert sorted(lists.train) == [("train/n01/c d.png", 0), ("train/n02/a.JPEG", 1), ("train/n02/sub/b.jpg", 1)]
    assert lists.val == [("val/n02/v.JPEG", 1)]
    assert lists.synsets == [("n01", "one"), ("n02", "two, zwei")]


def test_tiny_imagenet_layout(tmp_path) -> None:
    layout(
        tmp_path,
        "train/n7/images/n7_0.JPEG",
        "train/n3/images/n3_0.JPEG",
        "val/images/val_0.JPEG",
        "val/images/val_1.JPEG",
    )
    (tmp_path / "val" / "val_annotations.txt").write_text("val_1.JPEG\tn3\t0\t0\t9\t9\nval_0.JPEG\tn7\t1\t2\t3\t4\n")
    (tmp_path / "words.txt").write_text("n3\tthree, trois\nn7\tseven\nn9\tnine\n")
    lists = scan(tmp_path)
    assert lists.val == [("val/images/val_1.JPEG", 0), ("val/images/val_0.JPEG", 1)]
    assert lists.synsets == [("n3", "three, trois"), ("n7", "seven")]


def test_flat_validation_with_caffes_val_txt(tmp_path) -> None:
    layout(tmp_path, "train/n1/a.JPEG", "train/n2/b.JPEG", "val/v1.JPEG", "val/v2.JPEG")
    (tmp_path / "val.txt").write_text("v1.JPEG 1\nv2.JPEG 0\n")
    assert scan(tmp_path).val == [("val/v1.JPEG", 1), ("val/v2.JPEG", 0)]
    (tmp_path / "val.txt").write_text("v1.JPEG 2\n")
    with pytest.raises(FoolCaffeError, match=r"(?s)val\.txt:1: .*0\.\.1"):
        scan(tmp_path)
    (tmp_path / "val.txt").unlink()
    with pytest.raises(FoolCaffeError, match=r"(?s)is flat.*val\.txt"):
        scan(tmp_path)


def test_the_order_is_seeded(tmp_path) -> None:
    layout(tmp_path, *(f"train/n1/{i}.JPEG" for i in range(30)), "val/n1/v.JPEG")
    assert scan(tmp_path, seed=1).train == scan(tmp_path, seed=1).train
    assert scan(tmp_path, seed=1).train != scan(tmp_path, seed=2).train
    assert sorted(scan(tmp_path, seed=1).train) == sorted(scan(tmp_path, seed=2).train)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ([], "no classes"),
        (["train/n1/a.txt"], "holds no image"),
        (["train/n1/a.jpg"], "no validation images"),
        (["train/n1/a.jpg", "val/n2/b.jpg"], "n2 is a class that"),
        (["train/n1/a\nb.jpg", "val/n1/c.jpg"], "line break"),
    ],
)
def test_bad_datasets(tmp_path, paths: list[str], said: str) -> None:
    with pytest.raises(FoolCaffeError, match=said):
        scan(layout(tmp_path, *paths))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("val/val_annotations.txt", b"\nv.JPEG n1\n", r"val_annotations.txt:2: no label in 'v.JPEG n1'"),
        ("val/val_annotations.txt", b"v.JPEG\tn\xff", r"val_annotations.txt is not UTF-8 text, .*: byte 8"),
        (
            "val/val_annotations.txt",
            b"v.JPEG\tn2\t0\n",
            "_annotations.txt:1: v.JPEG is of class n2, which is not in train/",
        ),
        ("val.txt", b"v.JPEG 0\n\xfe 0\n", "val.txt is not UTF-8 text, .*: byte 9"),
        ("val.txt", "\nv.JPEG ²\n".encode(), r"val.txt:2: no label in 'v.JPEG ²'"),
        ("val.txt", b"v.JPEG 1\n", r"(?s)val.txt:1: v.JPEG is of class 1, .*an id of 0..0"),
    ],
)
def test_bad_files_of_labels_are_named(tmp_path, file: str, content: bytes, said: str) -> None:
    layout(tmp_path, "train/n1/a.JPEG", "val/v.JPEG", "val/images/v.JPEG")
    if file == "val.txt":
        (tmp_path / "val" / "images" / "v.JPEG").unlink()
        (tmp_path / "val" / "images").rmdir()
    (tmp_path / file).write_bytes(content)
    with pytest.raises(FoolCaffeError, match=said):
        scan(tmp_path)


names = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8).map(
    lambda s: s.replace(" ", "_")
)


@settings(derandomize=True, deadline=None)
@given(
    st.dictionaries(st.lists(names, min_size=1, max_size=3).map(" ".join), st.integers(0, 999), min_size=1, max_size=9)
)
def test_a_written_list_is_read_back(tmp_path_factory, entries: dict[str, int]) -> None:
    path = tmp_path_factory.mktemp("list") / "l.txt"
    path.write_bytes("".join(f"{name} {label}\n" for name, label in entries.items()).encode())
    assert list(read_list(path, 1000)) == list(entries.items())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a.jpg 1\nb.jpg 2 \n", ":2: a space after the label"),
        (b"a.jpg\n", ":1: no space between"),
        (b"a.jpg one\n", ":1: the label 'one' is not a number"),
        (b"a.jpg -1\n", ":1: the label -1 is out of range"),
        (b"a.jpg 1\n\nb.jpg 2\n", ":2: the line is blank"),
        (b"a.jpg 1\nb.jpg 1\na.jpg 1\n", ":3: the same path as in line 1"),
        (b"a.jpg 7\n", r":1: the label 7 is out of range"),
        (b"", "lists no image"),
    ],
)
def test_bad_lines_are_named(tmp_path, content: bytes, said: str) -> None:
    path = tmp_path / "train.txt"
    path.write_bytes(content)
    with pytest.raises(FoolCaffeError, match=said):
        list(read_list(path, 7))


def test_classes_are_called_what_their_folders_are_and_listed_in_the_order_of_path_parts(tmp_path) -> None:
    layout(tmp_path, "train/cat/b-1.png", "train/cat/b/z.png", "train/cat/a.PNG", "train/Dog/x.webp", "val/cat/v.png")
    lists = scan(tmp_path, seed=4)
    assert [synset[0] for synset in lists.synsets] == ["Dog", "cat"]
    # parts: "b" before "b-1.png"; as a string "b-1.png" would come before "b/z.png"
    assert _of_class(tmp_path, tmp_path / "train", "cat") == [
        "train/cat/a.PNG",
        "train/cat/b/z.png",
        "train/cat/b-1.png",
    ]


def test_links_that_lead_nowhere_are_no_images(tmp_path) -> None:
    layout(tmp_path, "train/n1/a.jpg", "val/n1/v.jpg")
    (tmp_path / "train" / "n1" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert scan(tmp_path).train == [("train/n1/a.jpg", 0)]


def test_validation_labels_keep_the_order_of_their_file(tmp_path) -> None:
    layout(tmp_path, "train/n1/a.jpg", "train/n2/a.jpg", *(f"val/{i}.jpg" for i in range(4)))
    (tmp_path / "val.txt").write_text("3.jpg 1\n0.jpg 0\n\n2.jpg 1\n1.jpg 0\n")
    assert scan(tmp_path).val == [("val/3.jpg", 1), ("val/0.jpg", 0), ("val/2.jpg", 1), ("val/1.jpg", 0)]
    (tmp_path / "val.txt").write_text("9.jpg 1\n")
    with pytest.raises(FoolCaffeError, match=r"val.txt:1 names val/9.jpg, which is not there"):
        scan(tmp_path)
