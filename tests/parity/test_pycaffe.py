"""The same script in real pycaffe and in torchcaffe's: names, shapes, numbers, kinds of errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pycaffe_script
import pytest

import torchcaffe
from parity import HERE

GOLDENS = HERE / "goldens" / "pycaffe"
CAFFE = HERE.parents[1] / ".caffe" / "bin" / "python"
TOLERANCE = {"solver": 1e-5}  # RMSProp divides by the root of small squares


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "caffe"]:
        monkeypatch.delitem(sys.modules, name)
    torchcaffe.install()


def differences(ours: Any, theirs: Any, where: str, tolerance: float) -> list[str]:
    """What differs, by its place."""
    if isinstance(theirs, dict) and "values" in theirs:
        if not isinstance(ours, dict) or (ours["shape"], ours["dtype"]) != (theirs["shape"], theirs["dtype"]):
            return [f"{where}: {ours} instead of {theirs}"]
        a, b = np.array(ours["values"]), np.array(theirs["values"])
        worst = float(np.max(np.abs(a - b), initial=0) / max(1.0, np.max(np.abs(b), initial=0)))
        return [] if worst <= tolerance else [f"{where}: differs by {worst:.3g}"]
    if isinstance(theirs, dict):
        if set(ours) != set(theirs):  # what forward returns has no order in real Caffe
            return [f"{where}: {list(ours)} instead of {list(theirs)}"]
        return [d for key in theirs for d in differences(ours[key], theirs[key], f"{where}/{key}", tolerance)]
    if isinstance(theirs, list) and theirs[-1:] == ["object"]:  # classes of an exception: ours must be caught by theirs
        return [] if set(theirs) - {"ArgumentError"} <= set(ours) | {"object"} else [f"{where}: {ours} for {theirs}"]
    if isinstance(theirs, list):
        if not isinstance(ours, list) or len(ours) != len(theirs):
            return [f"{where}: {ours} instead of {theirs}"]
        return [d for i, (a, b) in enumerate(zip(ours, theirs)) for d in differences(a, b, f"{where}[{i}]", tolerance)]
    if isinstance(theirs, float) and isinstance(ours, (int, float)):
        same = abs(ours - theirs) <= tolerance * max(1.0, abs(theirs))
    else:
        same = ours == theirs
    return [] if same else [f"{where}: {ours!r} instead of {theirs!r}"]


@pytest.mark.parametrize("part", pycaffe_script.PARTS)
def test_as_in_real_pycaffe(part: str) -> None:
    theirs = json.loads((GOLDENS / f"{part}.json").read_text())
    ours = json.loads(json.dumps(pycaffe_script.run(part)))
    assert not differences(ours, theirs, part, TOLERANCE.get(part, 2e-6))


@pytest.mark.slow
def test_goldens_are_what_real_pycaffe_says_now(tmp_path: Path) -> None:
    if not CAFFE.exists():
        pytest.skip("real Caffe is not installed (.caffe)")
    command = [CAFFE, "-W", "ignore", HERE / "pycaffe_script.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for part in pycaffe_script.PARTS:
        stored, now = (json.loads((folder / f"{part}.json").read_text()) for folder in (GOLDENS, tmp_path))
        assert not differences(now, stored, part, 2e-6)


def test_a_difference_is_seen() -> None:
    array = {"shape": [2], "dtype": "float32", "values": [1.0, 2.0]}
    for ours, theirs in (
        ({**array, "values": [1.0, 2.1]}, array),
        ({**array, "values": [1.0, float("nan")]}, array),
        ({**array, "shape": [1, 2]}, array),
        ({"a": 1}, {"b": 1}),
        ([1, 2], [1]),
        ("x", "y"),
        (1.001, 1.0),
        (["CaffeError", "Exception"], ["RuntimeError", "Exception", "object"]),
    ):
        assert differences(ours, theirs, "", 1e-6)
        assert not differences(theirs, theirs, "", 1e-6)
