"""What Windows lacks: there is no such machine here, so the parts that it lacks are taken away."""

from __future__ import annotations

import subprocess
import sys

from helpers import Road, environment, fails, succeeds

WITHOUT = """
import os, signal, sys
{first}
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for module, names in ((os, "O_CLOEXEC O_NONBLOCK getuid sched_getaffinity fork pread pwrite statvfs uname killpg"),
                      (signal, "SIGHUP SIGKILL SIGPROF SIGALRM pthread_sigmask setitimer")):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
{then}
"""
THIRD = "import numpy, lmdb, cv2, scipy.optimize, skimage.transform, sklearn.svm, matplotlib.figure"


def without(code: str, *arguments: object, engine: bool = False) -> subprocess.CompletedProcess[str]:
    first = THIRD + ("\nfrom foolcaffe.engine import caffe; caffe.TEST" if engine else "")
    command = [sys.executable, "-c", WITHOUT.format(first=first, then=code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(FOOLCAFFE_ENTERED="1"), timeout=300)


def test_every_module_can_be_imported() -> None:
    code = """
import importlib, pkgutil, caffefiles, foolcaffe
for package in (caffefiles, foolcaffe):
    for _, name, _ in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not name.endswith("__main__"):
            importlib.import_module(name)
"""
    succeeds(without(code))


def command(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    code = f"from foolcaffe import {module}; from foolcaffe.errors import run_cli; run_cli({module}.main, '{module}')"
    return without(code, *arguments, engine=True)


def test_a_trained_model_is_evaluated_and_fooled_and_training_says_where_it_can_be_done(road: Road) -> None:
    model = road.model
    assert "top-1" in succeeds(command("evaluate", "--model", model))
    succeeds(command("fool", "--model", model, "--class", "ocean", "--start", "val:3", "--out", road.images / "out"))
    fails(command("train", model), "cannot be locked", "WSL")


def test_reading_at_a_place_needs_no_pread() -> None:
    code = """
import tempfile
from caffefiles.files import read_at
with tempfile.TemporaryFile() as file:
    file.write(b"0123456789"); file.flush()
    read = [read_at(file.fileno(), size, offset) for size, offset in ((3, 4), (9, 8), (2, 0))]
    assert read == [b"456", b"89", b"01"]
"""
    succeeds(without(code))
