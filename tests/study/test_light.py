"""The light copy of a report: small, without the dataset's images, its numbers beside it."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foolcaffe.errors import FoolCaffeError
from foolcaffe.study import light
from foolcaffe.study.record import NOTE, POST, Check, Claim, Figure, Findings, Record, Table
from foolcaffe.study.report import About

ABOUT = About("colours", 300, 60, 5)


def record(folder: Path, name: str, side: int = 40, count: int = 1, error: str = "") -> Record:
    (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(5)
    figures = []
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (side, 3 * side, 3), dtype=np.uint8)).save(folder / name / f"{i}.png")
        figures.append(Figure(f"{i}.png", f"Title {i}", f"what is seen in {i}", "60 images", "1"))
    Image.new("RGB", (31, 17), (200, 40, 50)).save(folder / name / "fox.png")
    figures.append(Figure("fox.png", "The fox", "a fox, then a goldfish", "one image", "1", photos=True))
    claims = [
        Claim("one", POST, "q", "m", [Check("share (%)", 97.5, "≥", 90.0, "%"), Check("n", 60.0, "≥", 1.0)]),
        Claim("two", NOTE, "q", "m", [Check("x", float("nan"), "≥", 2.0)]),
        Claim("three", NOTE, "q", "nothing", untestable="no such data"),
    ]
    table = Table("sizes", "Sizes", ["decay", "top-1 (%)"], [[100, 6.25], [1000, None]])
    findings = None if error else Findings(claims, figures, [table])
    return Record(name, name, "About.", "python", "f" * 64, {}, {"numpy": "2"}, [1], 7.0, findings, error)


def test_numbers_figures_and_what_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "colours.html"
    light.write_light(path, ABOUT, [record(tmp_path, "first")], tmp_path)
    text = path.read_text("utf-8")
    uris = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', text)
    assert [alt for _, alt in uris] == ["what is seen in 0"]
    assert Image.open(io.BytesIO(base64.b64decode(uris[0][0]))).size == (120, 40)
    assert "Left out of this copy" in text
    assert "a fox, then a goldfish" in text
    assert json.loads(path.with_suffix(".json").read_text()) == {
        "first": {
            "claims": {
                "one": {"verdict": "confirmed", "measured": [["share (%)", 97.5], ["n", 60.0]]},
                "two": {"verdict": "not confirmed", "measured": [["x", None]]},
                "three": {"verdict": "not testable here", "measured": []},
            },
            "tables": {"sizes": {"columns": ["decay", "top-1 (%)"], "rows": [[100, 6.25], [1000, None]]}},
        }
    }


def test_large_figures_are_made_to_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "LIMIT", 30_000)
    monkeypatch.setattr(light, "WIDTHS", (200, 100, 70))
    path = tmp_path / "docs" / "colours.html"
    light.write_light(path, ABOUT, [record(tmp_path, "first", side=70, count=5)], tmp_path)
    pictures = [base64.b64decode(u) for u in re.findall(r"base64,([^\"]+)\" alt", path.read_text("utf-8"))]
    assert [Image.open(io.BytesIO(p)).width for p in pictures] == [100] * 5
    assert 10_000 < sum(map(len, pictures)) <= 30_000


def test_what_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "LIMIT", 20_000)
    monkeypatch.setattr(light, "WIDTHS", (280, 270))
    path = tmp_path / "docs" / "colours.html"
    with pytest.raises(FoolCaffeError, match="parts that failed: second"):
        light.write_light(path, ABOUT, [record(tmp_path, "first"), record(tmp_path, "second", error="oh")], tmp_path)
    with pytest.raises(FoolCaffeError, match="take more than 20000 bytes"):
        light.write_light(path, ABOUT, [record(tmp_path, "third", side=90, count=3)], tmp_path)
    (tmp_path / "first" / "0.png").unlink()
    with pytest.raises(FoolCaffeError, match=r"0\.png cannot be read"):
        light.write_light(path, ABOUT, [record(tmp_path / "other", "first")], tmp_path)
    assert not path.exists()
