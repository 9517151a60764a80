"""Helpers of this folder are importable by name; without PyTorch only the tests that need none are collected."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

_torch = importlib.util.find_spec("torch")
HAVE_TORCH = _torch is not None and _torch.origin is not None
"""False in real Caffe's Python, where ``torch`` would be this very folder, as a namespace package."""

NEEDS_NO_TORCH = {"test_schema.py", "test_prototxt.py", "test_upgrade.py"}
collect_ignore = [] if HAVE_TORCH else [p.name for p in HERE.glob("test_*.py") if p.name not in NEEDS_NO_TORCH]


@pytest.fixture(autouse=True)
def _caffe_is_what_it_was() -> Iterator[None]:
    """``torchcaffe.install()`` in one test must not be what ``import caffe`` means in the next."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "caffe"}
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "caffe"]:
        del sys.modules[name]
    sys.modules.update(before)
