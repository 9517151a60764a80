"""The check of a GPU, small and on the CPU: every step runs, its numbers hang together, failures are kept and told."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers import ROOT, environment, succeeds, tool

pytestmark = pytest.mark.skipif(importlib.util.find_spec("lmdb") is None, reason="py-lmdb is not in this Python")
_torch = importlib.util.find_spec("torch")
if _torch is None or _torch.origin is None:
    pytest.skip("about PyTorch, which is not in this Python", allow_module_level=True)

STEPS = ["machine", "recorded", "linear", "launches", "repeat", "correctness", "streamed", "zoo", "fooling"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A check of this machine's CPU; in the environment lie names that are not its own."""
    out = tmp_path_factory.mktemp("gpu") / "found.json"
    done = tool("gpu_check", "--device", "cpu", "--out", out, "--minutes", 2, OUT="/nowhere", STEPS="none")
    lines = succeeds(done).splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [[name, "done"] for name in STEPS]
    return json.loads(out.read_text())


def test_all_steps_are_done_in_their_order(report: dict[str, Any]) -> None:
    assert list(report["steps"]) == STEPS
    assert report["device"] == "cpu"
    assert sum(step["seconds"] for step in report["steps"].values()) <= report["seconds"]


def test_layers_are_compared_with_real_caffe(report: dict[str, Any]) -> None:
    cpu = report["steps"]["correctness"]["cpu"]
    assert cpu["compared"] >= 30
    assert cpu["beyond"] == cpu["failed"] == {}
    assert 0 < cpu["worst"] < 1e-5
    assert cpu["types"]["Convolution"] > 0
    assert report["steps"]["correctness"]["nets"]["lenet, TRAIN"]["within"]


def test_the_floor_is_counted_from_the_measured_rates(report: dict[str, Any]) -> None:
    machine, linear = report["steps"]["machine"], report["steps"]["linear"]
    mode = linear["modes"]["float32"]
    batch, classes, inputs = 16, 7, 3 * 64 * 64
    assert linear["steps_an_epoch"] == 5  # 70 records
    assert mode["operations"] == 2 * 2 * batch * inputs * classes
    assert mode["bytes"] == 5 * 4 * inputs * classes + batch * inputs
    products = mode["operations"] / (machine["tflops"]["float32"] * 1e12)
    moved = mode["bytes"] / (machine["copy_gb_s"] * 1e9)
    assert mode["floor_ms"] == pytest.approx(1000 * max(products, moved))
    assert mode["over_floor"] == pytest.approx(mode["ms"] / mode["floor_ms"])
    assert 0 < mode["loss"] < 10


def test_what_two_sides_must_share_is_equal(report: dict[str, Any]) -> None:
    steps = report["steps"]
    assert steps["streamed"]["loss_difference"] == 0
    assert steps["fooling"]["gradient_minus_row"] == 0
    for name in ("gradient", "exact"):
        assert steps["fooling"][name]["fooled"] == steps["fooling"][name]["images"] == 1
    assert steps["fooling"]["exact"]["l2"] <= steps["fooling"]["gradient"]["l2"]
    assert all(training["equal"] for training in steps["repeat"]["trainings"].values())
    assert steps["repeat"]["trainings"]["lenet, float32"]["losses"][0] > 1


def run(*arguments: object, code: str = "") -> subprocess.CompletedProcess[str]:
    """The program, or Python code beside it."""
    start = ["-c", code] if code else [str(ROOT / "benchmarks" / "gpu_check.py")]
    command = [sys.executable, *start, *map(str, arguments)]
    base = environment(PYTHONWARNINGS="default")
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "benchmarks", env=base, timeout=120)


def test_the_table_is_made_of_the_file(report: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    file.write_text(json.dumps(report))
    text = succeeds(run("--table", file))
    assert f"| float32 | {report['steps']['linear']['modes']['float32']['ms']:.3f} |" in text
    assert text.count("| lenet | 2 |") == 1
    report["steps"]["zoo"] = {"state": "failed", "error": "it was ended"}
    file.write_text(json.dumps(report))
    assert "**zoo: failed**, it was ended" in succeeds(run("--table", file))


def test_the_page_is_made_of_the_stored_check(tmp_path: Path) -> None:
    page = tmp_path / "gpu.md"
    page.write_text((ROOT / "docs" / "gpu.md").read_text())
    succeeds(run("--table", ROOT / "benchmarks" / "results" / "gpu_h100.json", "--into", page))
    assert page.read_text() == (ROOT / "docs" / "gpu.md").read_text()


FAULTS = """
import json, os, sys, time
from pathlib import Path
from gpucheck.runner import Step, run_steps
from gpucheck.sizes import FULL

def wrong(context):
    context.note(before=1)
    raise ValueError("one thing is wrong")

def hangs(context):
    context.note(begun=float("inf"))
    time.sleep(100)

steps = [
    Step("wrong", wrong, 1, 9),
    Step("dies", lambda context: os._exit(7), 1, 9),
    Step("hangs", hangs, 1, 0.5),
    Step("long", lambda context: "never", 100, 100),
    Step("last", lambda context: f"after {', '.join(context.found)}", 1, 9),
]
run_steps(steps, "cpu", FULL, 1, Path(sys.argv[1]))
"""


def test_a_step_that_fails_costs_only_itself(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    succeeds(run(out, code=FAULTS))
    steps = json.loads(out.read_text())["steps"]
    assert steps["wrong"]["error"] == "ValueError: one thing is wrong"
    assert steps["wrong"]["before"] == 1
    assert "exit code 7" in steps["dies"]["error"]
    assert "after its limit" in steps["hangs"]["error"]
    assert steps["hangs"]["begun"] == "inf"
    assert steps["long"]["state"] == "skipped"
    assert "100 s are needed" in steps["long"]["reason"]
    assert steps["last"]["line"] == "after wrong, dies, hangs, long"
    assert [step["state"] for step in steps.values()] == ["failed", "failed", "failed", "skipped", "done"]


def test_the_exit_code_tells_of_a_failure(tmp_path: Path) -> None:
    done = run("--device", "cpu", "--steps", "linear", "--out", tmp_path / "found.json")
    assert done.returncode == 1
    assert "linear       failed" in done.stdout
    assert "the machine step has measured no rates" in done.stdout
