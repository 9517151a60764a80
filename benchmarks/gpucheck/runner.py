"""Runs steps one after another, each in a process of its own, and keeps what they found in one JSON file.

A step that fails, hangs or takes the driver down with it costs only itself: what it noted before stays, its error is
recorded, and the next step starts in a fresh process. The parent never touches the GPU, so that its children can.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from caffefiles.files import atomic_path
from gpucheck.sizes import Sizes


@dataclass
class Context:
    """What a step is given.

    Args:
        device: "cuda" or "cpu".
        sizes: how large everything is.
        folder: for its files; removed when it ends.
        found: the results of the steps before it, by name.
        notes: what it has found so far; add to it by :meth:`note`.
    """

    device: str
    sizes: Sizes
    folder: Path
    found: dict[str, Any]
    notes: dict[str, Any] = field(default_factory=dict)

    def note(self, **values: Any) -> None:
        """Keep values, even if the step fails later."""
        self.notes.update(values)
        partial = self.folder / "notes.json"
        partial.with_suffix(".new").write_text(json.dumps(self.notes, default=float))
        partial.with_suffix(".new").replace(partial)

    def use(self, precision: str = "float32") -> None:
        """Put torchcaffe on the device, its products in a precision."""
        from torchcaffe import captured, common, matmul

        captured.set_enabled(
            self.found.get("recorded", {}).get("state") != "failed"
        )  # then the rest is measured without
        if self.device == "cpu":
            common.set_mode_cpu()
        else:
            common.set_mode_gpu()
            matmul.set_precision(precision)


@dataclass(frozen=True)
class Step:
    """One part of the check.

    Args:
        name: its key in the JSON.
        run: does it; returns the line to print.
        seconds: what it is expected to take on a GPU; it is skipped if less is left.
        limit: seconds after which it is ended.
    """

    name: str
    run: Callable[[Context], str]
    seconds: float
    limit: float


def run_steps(steps: list[Step], device: str, sizes: Sizes, minutes: float, out: Path) -> dict[str, Any]:
    """Run what fits into the minutes, in order; the file ``out`` is whole at any time.

    Returns:
        what the file holds: ``steps`` by name, each with ``state`` ("done", "failed" or "skipped").
    """
    warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork")
    start = time.monotonic()
    report: dict[str, Any] = {
        "device": device,
        "minutes": minutes,
        "at": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "steps": {},
    }
    for step in steps:
        left = 60 * minutes - (time.monotonic() - start)
        if left < step.seconds * sizes.patience:
            result: dict[str, Any] = {
                "state": "skipped",
                "reason": f"{left:.0f} s were left, about {step.seconds * sizes.patience:.0f} s are needed",
            }
        else:
            result = _run(step, device, sizes, report["steps"], min(step.limit, left))
        report["steps"][step.name] = result
        report["seconds"] = time.monotonic() - start
        with atomic_path(out) as path:
            path.write_text(json.dumps(_strict(report), indent=1) + "\n")
        said = result.get("line") or result.get("reason") or result.get("error", "")
        print(f"{step.name:12} {result['state']:7} {result.get('seconds', 0):6.1f} s  {said}", flush=True)
    return report


def _run(step: Step, device: str, sizes: Sizes, found: dict[str, Any], limit: float) -> dict[str, Any]:
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gpu_check.") as name:
        folder = Path(name)
        child = multiprocessing.get_context("fork").Process(
            target=_child, args=(step, Context(device, sizes, folder, found))
        )
        child.start()
        child.join(limit)
        ended = child.exitcode is not None
        if not ended:
            child.kill()
            child.join()
        result = {"state": "failed"}
        for part in ("notes.json", "end.json"):
            if (folder / part).is_file():
                result.update(json.loads((folder / part).read_text()))
        if not ended:
            result["error"] = f"it was ended after its limit of {limit:.0f} s"
        elif result["state"] == "failed" and "error" not in result:
            result["error"] = f"its process ended with exit code {child.exitcode}"
    result["seconds"] = time.monotonic() - start
    return result


def _child(step: Step, context: Context) -> None:
    try:
        end = {"line": step.run(context), "state": "done"}
    except Exception as error:  # whatever it is, it is the step's result
        lines = traceback.format_exc().strip().splitlines()
        end = {
            "error": f"{type(error).__name__}: {error}".splitlines()[0][:500],
            "traceback": "\n".join(lines[-12:]),
            "state": "failed",
        }
    (context.folder / "end.json").write_text(json.dumps(end))


def _strict(value: Any) -> Any:
    """The same with numbers that JSON lacks as words."""
    if isinstance(value, dict):
        return {key: _strict(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
