"""The published report of the study: whole, light, true to its rules; and its main numbers, measured again."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foolcaffe.attacks import METHODS, Criterion
from foolcaffe.study.common import CASE_SEED, cases, neighbours
from foolcaffe.study.light import LIMIT
from foolcaffe.study.parts import PARTS
from foolcaffe.study.record import CONFIRMED, NOT_CONFIRMED, NOT_TESTABLE, VERDICTS
from foolcaffe.trained import find_trained
from helpers import ROOT, run, succeeds

REPORT = ROOT / "docs" / "study" / "tiny-imagenet.html"
NUMBERS: dict[str, Any] = json.loads(REPORT.with_suffix(".json").read_text("utf-8"))
CLAIMS = [(part, key, claim) for part, found in NUMBERS.items() for key, claim in found["claims"].items()]


def rows(part: str, table: str) -> list[dict[str, Any]]:
    found = NUMBERS[part]["tables"][table]
    return [dict(zip(found["columns"], row)) for row in found["rows"]]


def test_every_part_is_there_and_small() -> None:
    assert list(NUMBERS) == list(PARTS)
    text = REPORT.read_text("utf-8")
    figures = [base64.b64decode(uri) for uri in re.findall(r'src="data:image/png;base64,([^"]+)"', text)]
    assert len(figures) >= len(PARTS)
    assert sum(map(len, figures)) <= LIMIT
    assert all(figure.startswith(b"\x89PNG") for figure in figures)


def test_the_page_says_what_the_numbers_say() -> None:
    text = REPORT.read_text("utf-8")
    said = {v: int(n) for n, v in re.findall(r'<span class="count">(\d+)</span> ([a-z ]+)</li>', text)}
    assert said == {v: sum(c["verdict"] == v for _, _, c in CLAIMS) for v in VERDICTS}
    for part, key, claim in CLAIMS:
        article = text.partition(f'aria-labelledby="{part}-{key}"')[2].partition("</article>")[0]
        assert f" {claim['verdict']}</span>" in article, (part, key)
        results = re.findall(r"<td>(holds|fails)</td>", article)
        assert len(results) == len(claim["measured"]), (part, key)
        expected = NOT_TESTABLE if not results else NOT_CONFIRMED if "fails" in results else CONFIRMED
        assert claim["verdict"] == expected, (part, key)


def test_nothing_of_the_dataset_is_shown() -> None:
    text = REPORT.read_text("utf-8")
    assert text.count("Left out of this copy") >= 3  # difficulty, figures, camera


@pytest.mark.slow
@pytest.mark.usefixtures("real_caffe")  # it was made with real Caffe
@pytest.mark.parametrize(("fixture", "decay"), [("decay100", 100.0), ("decay1000", 1000.0)])
def test_the_numbers_come_out_again(fixture: str, decay: float, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(fixture)
    published = next(r for r in rows("accuracy", "accuracy") if r["weight decay"] == decay and r["seed"] == 1)
    measured = json.loads(succeeds(run("evaluate", "--model", folder, "--json", "--quiet")))
    assert abs(100 * measured["top1"] - published["top-1 (%)"]) <= 0.2  # ten of 5,000 images
    assert abs(100 * measured["top5"] - published["top-5 (%)"]) <= 0.3
    net = find_trained(str(folder)).classifier()
    smooth = neighbours(net.score_weights())
    assert abs(smooth - published["correlation of neighbouring weights"]) <= 0.01

    published = next(r for r in rows("difficulty", "difficulty") if r["weight decay"] == decay)
    found = [
        METHODS["exact"](net, case.start, Criterion(case.target), seed=CASE_SEED)
        for case in cases(folder.parent, [net], 100)
    ]
    assert all(result.success["image"] for result in found)
    assert published["fooled by the exact attack"] == published["tried"]
    # half of the images, and other targets where the other nets saw another class
    again = float(np.median([result.distances.mean for result in found]))
    assert abs(again / published["exact: median mean |δ|"] - 1) <= 0.2


def test_what_the_post_is_about() -> None:
    by_decay = {r["weight decay"]: r for r in rows("difficulty", "difficulty")}
    sizes = [by_decay[d]["exact: median mean |δ|"] for d in sorted(by_decay)]
    assert sizes == sorted(sizes)
    assert sizes[-1] >= 2 * sizes[0]
    starts = {r["first loss"] for r in rows("hyperparameters", "sweep")}
    assert all(abs(loss - 5.3) <= 0.5 for loss in starts)
    assert NUMBERS["figures"]["claims"]["gradient"]["verdict"] == CONFIRMED
