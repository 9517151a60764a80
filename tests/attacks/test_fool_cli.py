"""``python -m foolcaffe.fool``: methods, goals, budgets, the sheet."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from helpers import Road, fails, run, succeeds


def test_exact_says_what_it_proved(road: Road, tmp_path: Path) -> None:
    done = run("fool", "--model", road.model, "--class", "ocean", "--flip", "--method", "exact", "--out", tmp_path)
    out = succeeds(done)
    assert "proved  no 8-bit image nearer than L2" in out
    record = json.loads(next(tmp_path.glob("*.json")).read_text())
    proved = record["certificate"]
    assert proved["floats"] <= proved["png"] <= record["l2"] * (1 + 1e-9)
    assert record["verified"]


def test_all_targets_draws_a_sheet(road: Road, tmp_path: Path) -> None:
    done = run("fool", "--model", road.model, "--all-targets", "--flip", "--method", "exact", "--norm", "linf",
               "--out", tmp_path)  # fmt: skip
    sheet = Path(succeeds(done).strip().splitlines()[-1])
    assert sheet.name.endswith("-sheet.png")
    with Image.open(sheet) as picture:
        assert min(picture.size) > 100
    assert len(list(tmp_path.glob("*.json"))) == 4  # every class but the one that is seen


def test_untargeted_leaves_the_class(road: Road, tmp_path: Path) -> None:
    how = ("--untargeted", "--method", "iterated", "--norm", "linf", "--start", "grey")
    done = run("fool", "--model", road.model, *how, "--out", tmp_path, "--json")
    record = json.loads(succeeds(done))
    assert record["before"][0]["id"] != record["after"][0]["id"] == record["target"]["id"]
    assert list(record["criterion"]) == ["not"]


def test_what_cannot_be_is_said(road: Road, tmp_path: Path) -> None:
    base = ("--model", road.model, "--out", tmp_path, "--class", "ocean")
    fails(run("fool", *base, "--method", "exact", "--eps", "0.5"), "proved: no 8-bit image within 0.5")
    fails(
        run("fool", *base, "--method", "local", "--queries", "5"),
        "the budget of 5 queries was spent",
        "highest confidence",
    )
    fails(run("fool", *base, "--method", "gradient", "--steps", "5"), "gradient takes no steps", "it takes:", code=2)
    fails(run("fool", *base, "--method", "exact", "--eps", "-2"), "eps -2.0 is out of range")
    fails(run("fool", "--model", road.model), "one of --class, --all-targets and --untargeted", code=2)
    fails(run("fool", *base, "--untargeted"), "--class and --untargeted were given: only one of them can be", code=2)
    assert not list(tmp_path.glob("*.png"))
