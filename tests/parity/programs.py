"""Runs real Caffe's programs and ours, and makes their logs comparable."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / ".caffe" / "bin"
needs_caffe = pytest.mark.skipif(not (REAL / "caffe").exists(), reason="no real Caffe in .caffe (make .caffe)")

_PREFIX = re.compile(r"^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ (\S+:\d+)\] ", re.MULTILINE)
_RATE = re.compile(r"\([-+.e\d]+ iter/s, [-+.e\d]+s/")
_THREADS = ("Restarting data prefetching from start", "Waiting for data")  # they come at any time
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+\.?\d*(?:e[-+]?\d+)?(?![\w.])")


def caffe(program: str, *arguments: object, **changes: str) -> subprocess.CompletedProcess[str]:
    """Real Caffe's program."""
    return _run([str(REAL / program)], arguments, changes)


def ours(program: str, *arguments: object, **changes: str) -> subprocess.CompletedProcess[str]:
    """Our program of that name; it never shows a traceback."""
    done = _run([sys.executable, "-m", f"torchcaffe.tools.{program}"], arguments, changes)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def environment(**changes: str) -> dict[str, str]:
    """With the checkout's packages, and glog as it is when nobody says otherwise."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("GLOG_")}
    return {**base, "PYTHONPATH": str(ROOT / "python"), "GLOG_logtostderr": "1", **changes}


def _run(
    command: list[str], arguments: tuple[object, ...], changes: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**changes),
        check=False,
    )


def cleaned(log: str) -> list[str]:
    """A log's lines without times, process ids, rates, and what other threads say at times of their own."""
    lines = _RATE.sub("(R iter/s, Ts/", _PREFIX.sub(r"\1 \2] ", log)).splitlines()
    return [line for line in lines if not any(words in line for words in _THREADS)]


def check_same_log(got: list[str], expected: list[str], tolerance: float = 2e-5) -> None:
    """The same lines, character by character but for numbers, which may differ by ``tolerance`` relative."""
    for number, (a, b) in enumerate(zip(got, expected), 1):
        assert _NUMBER.sub("0", a) == _NUMBER.sub("0", b), f"line {number}"
        for x, y in zip(_NUMBER.findall(a), _NUMBER.findall(b)):
            assert abs(float(x) - float(y)) <= tolerance * max(abs(float(y)), 1e-30), (number, a, b)
    assert len(got) == len(expected)
