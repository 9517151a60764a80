"""What the tests of foolcaffe.lmdb share: running the command, real Caffe's tools, reading databases independently."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lmdb
import pytest

from foolcaffe.engine import ROOT

SHARED = Path(os.environ.get("FOOLCAFFE_SHARED", ROOT.parent / "shared" / "data"))
SAMPLES = SHARED / "imagenet-samples"
TINY = SHARED / "tiny-imagenet-half.zip"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONWARNINGS": "error", "GLOG_minloglevel": "2"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "foolcaffe.lmdb", *map(str, arguments)]


def run(*arguments: object, expect: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run ``python -m foolcaffe.lmdb``; its exit code must be the one expected, and no traceback is ever right."""
    done = subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, timeout=300, check=False, **more
    )
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def records(database: Path) -> list[tuple[bytes, bytes]]:
    """All (key, value), read by py-lmdb alone."""
    with lmdb.open(str(database), readonly=True, lock=False) as env, env.begin() as txn:
        return [(bytes(k), bytes(v)) for k, v in txn.cursor()]


def stream_digest(database: Path) -> str:
    """SHA-256 of the whole ordered (key, value) stream, independent of the builder's own digest."""
    total = hashlib.sha256()
    with lmdb.open(str(database), readonly=True, lock=False) as env, env.begin(buffers=True) as txn:
        for key, value in txn.cursor():
            total.update(len(key).to_bytes(2, "little") + bytes(key) + len(value).to_bytes(8, "little"))
            total.update(value)
    return total.hexdigest()


def caffe_tool(name: str) -> Path:
    tool = ROOT / ".caffe" / "bin" / name
    if not os.access(tool, os.X_OK):
        pytest.skip(f"real Caffe's {name} is not installed in .caffe: `make .caffe`")
    return tool


def real_convert(root: Path, listing: Path, database: Path, *flags: str) -> None:
    """Real convert_imageset at 64 × 64."""
    sizes = [f for f in ("--resize_height=64", "--resize_width=64") if not any(g.startswith(f[:14]) for g in flags)]
    subprocess.run(
        [caffe_tool("convert_imageset"), *sizes, *flags, f"{root}/", listing, database],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=600,
    )


def shared(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"no real images at {path}: set FOOLCAFFE_SHARED")
    return path
