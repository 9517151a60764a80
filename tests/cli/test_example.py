"""examples/post.py, the post in plain pycaffe, in this Python's engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foolcaffe.attacks.base import Criterion
from foolcaffe.images import Rgb8
from foolcaffe.trained import find_trained
from foolcaffe.verify import verify
from helpers import ROOT, Road, environment

POST = ROOT / "examples" / "post.py"


def post(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(POST), *map(str, arguments)]
    base = environment(GLOG_minloglevel="2")
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=base, timeout=120)


def test_it_is_read_in_one_sitting() -> None:
    assert len(POST.read_text().splitlines()) <= 60


@pytest.mark.usefixtures("engine")
def test_the_png_fools(road: Road, tmp_path: Path) -> None:
    photo = road.images / "val" / "n03" / "val_0.JPEG"
    done = post(road.model, photo, 1, tmp_path / "out.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    net = find_trained(str(road.model)).classifier()
    start = np.asarray(Image.open(photo).convert("RGB").resize((64, 64)))
    assert net.probabilities(Rgb8(start).to_bgr())[0].argmax() != 1
    verdict = verify(net, tmp_path / "out.png", Rgb8(start), Criterion(target=1))
    assert verdict.fooled
    assert f"after:  n02 meadow, grass green, {verdict.probabilities[1]:.1%} sure" in done.stdout
    assert f"a mean change of {verdict.distances.mean:.1f} grey levels" in done.stdout


@pytest.mark.usefixtures("engine")
def test_wrong_usage(tmp_path: Path) -> None:
    done = post("model", cwd=tmp_path)
    assert done.returncode == 1
    assert "usage: post.py MODEL IMAGE CLASS OUT.png" in done.stderr
