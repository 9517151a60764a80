"""What the tests share: the environment they run in, real data, and a small real road from JPEG to trained model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from helpers import ROOT, SHARED, Road, make, run

HAVE_CAFFE = importlib.util.find_spec("caffe") is not None


def pytest_report_header() -> str:
    return f"engine: {'real Caffe' if HAVE_CAFFE else 'none in this Python'}; shared data: {SHARED or 'absent'}"


@pytest.fixture(scope="session")
def engine() -> str:
    """Skips where this Python has no engine: the same test runs in .caffe/bin/python."""
    if not HAVE_CAFFE:
        pytest.skip("no engine in this Python; run in .caffe/bin/python")
    return "caffe"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The research data beside the checkout; nothing of it is in the project."""
    if SHARED is None:
        pytest.skip("no research data: neither ../shared/data nor FOOLCAFFE_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def road(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Road:
    """Five classes of coloured JPEGs, through the real tools into a trained model. Do not write to it."""
    return Road.walk(tmp_path_factory.mktemp("road"))


@pytest.fixture(scope="session")
def tiny(engine: str, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``build/tiny-imagenet`` with its LMDBs, made from the half of Tiny ImageNet by the Makefile, once."""
    make("lmdb")
    return ROOT / "build" / "tiny-imagenet"


@pytest.fixture(scope="session")
def decay100(tiny: Path) -> Path:
    """The post's model, trained on the half of Tiny ImageNet for 2,000 iterations."""
    make("train", "NAME=decay100")
    return tiny / "decay100"


@pytest.fixture(scope="session")
def decay1000(tiny: Path) -> Path:
    """The same with ten times the post's weight decay."""
    make("train", "NAME=decay1000", "WEIGHT_DECAY=1000")
    return tiny / "decay1000"


@pytest.fixture
def cli(engine: str):
    """Run ``python -m foolcaffe.<module>`` in this Python."""
    return run
