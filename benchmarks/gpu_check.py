"""Check and measure a GPU with torchcaffe: correctness, speed beside the machine's own rates, attacks, determinism.

    python benchmarks/gpu_check.py [--minutes 8] [--out gpu_check.json] [--device cuda|cpu] [--steps machine,linear]
    python benchmarks/gpu_check.py --table gpu_check.json [--into docs/gpu.md]

Needs PyTorch, NumPy, protobuf, lmdb, h5py, OpenCV and what foolcaffe imports; everything else is made on the spot. The
most valuable comes first; what does not fit into the minutes is skipped, and said. On a CPU the same list runs small.
Exit code 1 if a step failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "parity")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "python"), os.environ.get("PYTHONPATH", "")]))

from gpucheck import correctness, fooling, launches, linear, machine, recorded, repeat, streamed, zoo_time  # noqa: E402
from gpucheck.runner import Step, run_steps  # noqa: E402
from gpucheck.sizes import FULL, SMALL  # noqa: E402
from gpucheck.table import table  # noqa: E402

STEPS = [
    Step("machine", machine.run, 15, 60),
    Step("recorded", recorded.run, 45, 100),
    Step("linear", linear.run, 30, 90),
    Step("launches", launches.run, 10, 40),
    Step("repeat", repeat.run, 15, 60),
    Step("correctness", correctness.run, 45, 150),
    Step("streamed", streamed.run, 15, 90),
    Step("zoo", zoo_time.run, 40, 120),
    Step("fooling", fooling.run, 20, 90),
]
"""The expected seconds are those of an H100 with 16 processor cores."""


def main() -> int:
    names = [step.name for step in STEPS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8, help="to be spent at most (default: 8)")
    parser.add_argument("--out", type=Path, default=Path("gpu_check.json"), help="(default: gpu_check.json)")
    parser.add_argument("--device", choices=["cuda", "cpu"], help="default: a GPU where PyTorch sees one")
    parser.add_argument("--steps", default=",".join(names), help=f"of {', '.join(names)}; the first ones count first")
    parser.add_argument("--table", type=Path, metavar="JSON", help="print an earlier check as Markdown, and end")
    parser.add_argument("--into", type=Path, metavar="MARKDOWN", help="put it between this file's two marks instead")
    options = parser.parse_args()
    if options.table is not None:
        text = table(json.loads(options.table.read_text()))
        if options.into is None:
            print(text)
        else:
            before, _, rest = options.into.read_text().partition(BEGIN)
            _, _, after = rest.partition(END)
            if not rest or END not in rest:
                parser.error(f"{options.into} has no lines {BEGIN!r} and {END!r}")
            options.into.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
        return 0
    wanted = options.steps.split(",")
    if unknown := [name for name in wanted if name not in names]:
        parser.error(f"unknown steps: {', '.join(unknown)}")
    device = options.device or ("cuda" if _gpu() else "cpu")
    steps = [next(step for step in STEPS if step.name == name) for name in wanted]
    report = run_steps(steps, device, FULL if device == "cuda" else SMALL, options.minutes, options.out)
    failed = [name for name, step in report["steps"].items() if step["state"] == "failed"]
    print(f"{options.out}: {report['seconds']:.0f} s" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _gpu() -> bool:
    """Is there a GPU? Asked of a process of its own: ours must not touch it before it forks."""
    import subprocess

    code = "import sys, torch; sys.exit(0 if torch.cuda.is_available() else 1)"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
