"""What the tests share: the environment they run in, real data, and a small real road from JPEG to trained model."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # a worker a core: threads of a BLAS would only wait for each other
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

from helpers import ENGINE, ENVIRONMENTS, PROGRAMS, ROAD_ENGINE, ROOT, SHARED, TORCH_PROGRAMS, Road, make, run

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell in the background; what tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no worker begins a long one when the others have nothing left."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session", autouse=True)
def _environments_stay_as_they_are() -> Iterator[None]:
    """Fails the run if a test installed something into the developer's own .venv or .caffe."""
    folders = [".venv", ".venv/lib/python*/site-packages", ".caffe", ".caffe/site-packages", *ENVIRONMENTS]
    paths = [path for folder in folders for path in ROOT.glob(folder)]
    before = {path: path.stat().st_mtime_ns for path in paths}
    yield
    changed = [str(path) for path in paths if not path.exists() or path.stat().st_mtime_ns != before[path]]
    assert not changed, f"the tests, or an installation beside them, changed {', '.join(changed)}"


def pytest_report_header() -> str:
    return f"engine: {ENGINE or 'none in this Python'}; shared data: {SHARED or 'absent'}"


@pytest.fixture(scope="session")
def engine() -> str:
    """The engine of this Python, ``caffe`` or ``torch``; skips where it has none."""
    if not ENGINE:
        pytest.skip("no engine in this Python: neither pycaffe nor PyTorch")
    return ENGINE


@pytest.fixture(scope="session")
def real_caffe() -> None:
    """Skips where this Python has no real Caffe: the same test runs in .caffe/bin/python."""
    if ENGINE != "caffe":
        pytest.skip("about real Caffe; run in .caffe/bin/python")


@pytest.fixture(scope="session")
def programs(engine: str) -> None:
    """Skips where the engine's own programs (train, convert_imageset, …) are not there."""
    if engine == "torch" and not TORCH_PROGRAMS:
        pytest.skip("torchcaffe.tools has not all of: " + ", ".join(PROGRAMS))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The research data beside the checkout; nothing of it is in the project."""
    if SHARED is None:
        pytest.skip("no research data: neither ../shared/data nor FOOLCAFFE_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def road(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Road:
    """Five classes of coloured JPEGs, through the real tools into a trained model. Do not write to it."""
    _need_road()
    return Road.walk(tmp_path_factory.mktemp("road"))


@pytest.fixture(scope="session")
def tiny(engine: str, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``build/tiny-imagenet`` with its LMDBs, made from the half of Tiny ImageNet by the Makefile, once."""
    _need_road()
    make("lmdb")
    return ROOT / "build" / "tiny-imagenet"


@pytest.fixture(scope="session")
def decay100(tiny: Path) -> Path:
    """The post's model, trained on the half of Tiny ImageNet for 2,000 iterations."""
    make("train", f"NAME=decay100-{ROAD_ENGINE}")
    return tiny / f"decay100-{ROAD_ENGINE}"


@pytest.fixture(scope="session")
def decay1000(tiny: Path) -> Path:
    """The same with ten times the post's weight decay."""
    make("train", f"NAME=decay1000-{ROAD_ENGINE}", "WEIGHT_DECAY=1000")
    return tiny / f"decay1000-{ROAD_ENGINE}"


def _need_road() -> None:
    if not ROAD_ENGINE:
        pytest.skip("neither torchcaffe's programs nor real Caffe (.caffe) are here to build LMDBs and train")


@pytest.fixture
def cli(engine: str):
    """Run ``python -m foolcaffe.<module>`` in this Python."""
    return run
