"""Lists are read as convert_imageset reads them, or the line is rejected: never to another path or label."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from caffefiles import listfile
from foolcaffe.errors import FoolCaffeError


def caffe_reads(line: bytes) -> tuple[bytes, int]:
    """std::getline, find_last_of(' '), atoi: what Caffe makes of a line."""
    at = line.rfind(b" ")
    label = re.match(rb"[ \t\n\v\f\r]*([+-]?[0-9]+)", line[at + 1 :])
    return (line if at < 0 else line[:at]), int(label[1]) if label else 0


LINES = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda p, s, n, e: p + s + n + e,
        st.text(min_size=1, max_size=20).map(lambda t: t.encode("utf-8", "replace")),
        st.sampled_from([b" ", b"  ", b"\t", b""]),
        st.one_of(
            st.integers(-10, 10**12).map(lambda n: b"%d" % n),
            st.sampled_from([b"", b"+3", b"007", b"1.5", b"0x1", b"-0"]),
        ),
        st.sampled_from([b"", b"\r", b" ", b" \r", b"\t", b"\r\r"]),
    ),
).map(lambda b: b.replace(b"\n", b"?"))


@settings(max_examples=500, derandomize=True, deadline=None)
@given(line=LINES, classes=st.one_of(st.none(), st.integers(1, 1000)))
@example(line=b"a b c.JPEG 5", classes=None)
@example(line=b"a.JPEG 5 ", classes=None)
@example(line=b"a.JPEG 2147483648", classes=None)
def test_read_as_caffe_or_rejected(line: bytes, classes: int | None) -> None:
    read = listfile.parse(3, line, classes)
    assert read.number == 3
    if read.reason:
        assert read.label == 0
        return
    assert (read.path, read.label) == caffe_reads(line)
    assert 0 <= read.label < (classes or 1 << 31)
    assert read.path
    assert b"\0" not in read.path
    assert len(listfile.key(99_999_999, read.path)) <= 511


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    path=st.text(st.characters(exclude_characters="\n\0", exclude_categories=("Cs",)), min_size=1, max_size=60),
    label=st.integers(0, (1 << 31) - 1),
    end=st.sampled_from(["", "\r"]),
)
def test_every_good_line_is_taken(path: str, label: int, end: str) -> None:
    read = listfile.parse(1, f"{path} {label}{end}".encode())
    assert read == (1, path.encode(), label, "")


@settings(max_examples=100, derandomize=True, deadline=None)
@given(lines=st.lists(LINES, max_size=8), last=st.booleans())
def test_lines_are_numbered_as_getline_numbers_them(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], last: bool
) -> None:
    file = tmp_path_factory.mktemp("l") / "list.txt"
    file.write_bytes(b"\n".join(lines) + (b"\n" if lines and (last or not lines[-1]) else b""))
    assert list(listfile.read(file)) == [listfile.parse(n, line) for n, line in enumerate(lines, 1)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "blank"),
        (b"   ", "blank"),
        (b"\r", "blank"),
        (b"a.JPEG", "no space"),
        (b"a.JPEG\t5", "no space"),
        (b"a.JPEG 5 ", "would store it with label 0"),
        (b"a.JPEG 5 \r", "would store it with label 0"),
        (b"a.JPEG five", "'five' is not a number"),
        (b"a.JPEG 5x", "'5x' is not a number"),
        (b"a.JPEG -1", "out of range"),
        (b"a.JPEG 2147483648", "expected 0..2147483647"),
        (b" 5", "no path"),
        (b"a\0b 5", "zero byte"),
        (b"a" * 503 + b" 5", "an LMDB key has room for 502"),
    ],
)
def test_reasons(line: bytes, reason: str) -> None:
    assert reason in listfile.parse(1, line).reason


def test_classes_bound_labels() -> None:
    assert listfile.parse(1, b"a 9", 10).reason == ""
    assert "expected 0..9" in listfile.parse(1, b"a 10", 10).reason


def test_no_list(tmp_path: Path) -> None:
    with pytest.raises(FoolCaffeError, match="no list at"):
        next(listfile.read(tmp_path / "none"))


def test_show_is_one_line() -> None:
    assert listfile.show("ä\tb\n".encode() + b"\xff") == "ä\\tb\\n\\xff"
    assert listfile.show(b"\xef\xbb\xbfa.JPEG") == "\\ufeffa.JPEG"
