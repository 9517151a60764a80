"""examples/lesson.py: the explorer's six steps in Python, run as a script, and in the form that jupytext reads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers import ROOT, Road, environment

LESSON = ROOT / "examples" / "lesson.py"


def test_cells_alternate_between_words_and_code() -> None:
    kinds = re.findall(r"^# %%(.*)$", LESSON.read_text("utf-8"), re.MULTILINE)
    assert kinds == [" [markdown]", ""] * 7
    steps = re.findall(r"^# ## (\d)\. ", LESSON.read_text("utf-8"), re.MULTILINE)
    assert steps == list("123456")


@pytest.mark.slow
def test_the_lesson_teaches_what_it_says(road: Road, tmp_path: Path) -> None:
    own = road.copy(tmp_path)
    done = subprocess.run(
        [sys.executable, LESSON],
        capture_output=True,
        text=True,
        env=environment(LESSON_MODEL=str(own.model), GLOG_minloglevel="2"),
        cwd=tmp_path,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert float(out.split("Caffe's scores: ")[1].split()[0]) < 1e-2
    assert len(re.findall(r"grey levels of meadow's template: .* at random places: ", out)) == 5
    assert len(re.findall(r"^(?:noise|grey): .* it is meadow$", out, re.MULTILINE)) == 2
    needed = [float(n) for n in re.findall(r"weight decay \S+ +(\S+) grey levels needed", out)]
    assert len(needed) == 4
    assert needed == sorted(needed)
    assert needed[3] > needed[0]
    assert "score -3 → 2, class 1 with 4.7% → 88.1%" in out
    assert "12,288 numbers that move by 0.5 each: the score moves by 6,144" in out
    assert "6-smallest.png: fools; seen as meadow" in out
    reached, bound = map(float, re.findall(r"L2 (\S+); proved: no 8-bit picture nearer than (\S+) fools", out)[0])
    assert bound <= reached <= 1.05 * bound
    pictures = sorted(p.name for p in (own.dataset / "lesson").glob("*.png"))
    assert pictures == ["1-templates.png", "2-sum.png", "4-decays.png", "6-smallest.png", "6-sum.png"]
    with Image.open(own.dataset / "lesson" / "2-sum.png") as image:
        assert image.size == (4 * 192, 192)
