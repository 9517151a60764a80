"""Every command that the README shows as one to be typed, in its order, in a fresh copy of what git holds."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import ENGINE, ROOT, borrow_environments, environment

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCK.findall((ROOT / "README.md").read_text("utf-8")) if name == kind]


def test_every_block_says_whether_it_is_run() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert {name for name, _ in BLOCK.findall(text)} == {"sh", "console", "text"}
    assert not re.search(r"^    \S", BLOCK.sub("", text), re.MULTILINE)  # no indented block that no test sees
    assert blocks("sh")[0].splitlines()[0] == "make demo"


@pytest.mark.slow
@pytest.mark.skipif(ENGINE != "caffe", reason="about real Caffe; run in .caffe/bin/python")
def test_the_commands_work_as_they_are_written(tmp_path: Path) -> None:
    copy = tmp_path / "FoolCaffe"
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    borrow_environments(copy)
    script = "set -e\n" + "".join(
        f"echo {shlex.quote(f'== {line}')} >&2\n{line}\n" for line in "".join(blocks("sh")).splitlines()
    )
    base = environment(PYTHONWARNINGS="default", PYTHONPATH=str(copy / "python"))
    for name in ("ENGINE", "FOOLCAFFE_ENGINE", "MAKEFLAGS", "MAKELEVEL"):
        base.pop(name, None)
    os.utime(copy / ".venv" / "READY") if (copy / ".venv" / "READY").exists() else None
    done = subprocess.run(["bash", "-c", script], cwd=copy, capture_output=True, text=True, env=base, timeout=900)
    last = [line for line in done.stderr.splitlines() if line.startswith("== ")][-1]
    assert done.returncode == 0, (last, done.stderr[-1500:])
    for made in (
        "build/demo/fool/linear_softmax-cat-to-rocket-moon-figure.png",
        "build/demo/fool/linear_softmax-2-images-to-clock-sheet.png",
        "build/demo/fool/linear_softmax-coins-to-clock.gif",
        "build/clocks.csv",
        "build/demo/explorer.html",
        "build/mine/fool/linear_softmax-cat-to-retina.png",
    ):
        assert (copy / made).is_file(), made
