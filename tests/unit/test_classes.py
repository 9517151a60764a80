from __future__ import annotations

import pytest

from foolcaffe.classes import Synsets, read_synsets
from foolcaffe.errors import FoolCaffeError

SYNSETS = Synsets(
    [
        ("n01443537", ["goldfish", "Carassius auratus"]),
        ("n02012849", ["crane"]),
        ("n03126707", ["crane"]),
        ("n04146614", ["school bus"]),
        ("n04999999", ["bus", "goldfish"]),
    ]
)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("0", 0),
        ("3", 3),
        (" 4 ", 4),
        ("n04146614", 3),
        ("School Bus", 3),
        ("school_bus", 3),
        ("carassius auratus", 0),
        ("goldfish", 0),
        ("bus", 4),
    ],
)
def test_found_by_id_wnid_name_and_synonym(text: str, index: int) -> None:
    assert SYNSETS.find(text).id == index


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5", r"0\.\.4"),
        ("-1", r"0\.\.4"),
        ("goldfsh", "'goldfish'"),
        ("crane", "2 classes: 1 .* 2"),
        ("zzz", "ids are"),
        ("scool bus", "'school bus'"),
    ],
)
def test_unknown_ones_are_said_with_a_way_out(text: str, said: str) -> None:
    with pytest.raises(FoolCaffeError, match=f"(?s){said}"):
        SYNSETS.find(text)


def test_read(tmp_path) -> None:
    path = tmp_path / "synset_words.txt"
    path.write_text("n1 goldfish, Carassius auratus\nn2\n", encoding="utf-8")
    synsets = read_synsets(path)
    assert [s.names for s in synsets] == [("goldfish", "Carassius auratus"), ("n2",)]
    assert str(synsets[0]) == "goldfish (0)"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"n2 b\nn1 a\n", ":2: n1 does not come after n2"),
        (b"n1 a\n\n", ":2: empty line"),
        (b"n1 \xff\n", "not UTF-8"),
    ],
)
def test_bad_files(tmp_path, content: bytes, said: str) -> None:
    path = tmp_path / "synset_words.txt"
    path.write_bytes(content)
    with pytest.raises(FoolCaffeError, match=said):
        read_synsets(path)
