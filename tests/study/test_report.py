"""The report's text: escaped, self-contained, without a script. How a browser takes it is in test_browser.py."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from foolcaffe.errors import FoolCaffeError
from foolcaffe.study.record import Findings, Record
from foolcaffe.study.report import About, write_report
from study.reports import EVIL, EVIL_FILE, hostile

ABOUT = About("colours", 300, 60, 5)


class Page(HTMLParser):
    """Tags with their attributes, headings, and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(hostile(tmp_path).read_text("utf-8"))


def test_hostile_names_are_text_and_nothing_else(page: Page) -> None:
    assert not page.all("script")
    assert not page.all("svg")
    assert len(page.all("img")) == 1
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert page.said.count(EVIL) >= 15
    assert "49" not in page.said.replace(EVIL, "")
    assert page.all("img")[0]["alt"] == EVIL


def test_nothing_comes_from_outside(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "srcset", "data", "poster", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
        assert "style" not in attributes
    assert [a["href"] for a in page.all("link")] == ["data:,"]
    outside = {a["href"] for a in page.all("a") if not (a["href"] or "").startswith(("#", "data:"))}
    assert outside == {"http://karpathy.github.io/2015/03/30/breaking-convnets/"}


def test_the_policy_allows_the_style_by_its_hash(page: Page, tmp_path: Path) -> None:
    text = (tmp_path / "report.html").read_text("utf-8")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy


def test_headings_come_in_order(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_a_table_can_be_taken_away_as_csv(page: Page) -> None:
    link = next(a for a in page.all("a") if "download" in a)
    assert link["download"] == f"{EVIL}.csv"
    data = base64.b64decode((link["href"] or "").partition("base64,")[2]).decode()
    assert list(csv.reader(io.StringIO(data))) == [[EVIL, "b (%)"], [EVIL, "1.5"], ["=1+1", ""]]


def test_a_failed_part_is_shown_with_its_error(page: Page) -> None:
    assert "This part failed; the others went on." in page.said
    assert page.said.count(f"Traceback {EVIL}") == 3


@pytest.mark.parametrize("damage", [None, b"no png"])
def test_a_missing_or_damaged_figure_is_named(tmp_path: Path, damage: bytes | None) -> None:
    hostile(tmp_path)
    figure = tmp_path / "first" / EVIL_FILE
    figure.unlink() if damage is None else figure.write_bytes(damage)
    before = (tmp_path / "report.html").read_bytes()
    from foolcaffe.study.record import Figure

    record = Record(
        "first", "T", "A", "c", "f", {}, {}, [1], 1.0, Findings([], [Figure(EVIL_FILE, "t", "a", "n", "s")], [])
    )
    with pytest.raises(FoolCaffeError, match=r"the figure .* is (missing|no PNG)"):
        write_report(tmp_path / "report.html", ABOUT, [record])
    assert (tmp_path / "report.html").read_bytes() == before
