"""Every case of ``cases/`` in torchcaffe gives what real Caffe gave; and the goldens are what real Caffe gives now."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from parity import HERE, Case, compare, difference, golden, golden_case, load_cases, run_case

CASES = load_cases()
CAFFE = HERE.parents[1] / ".caffe" / "bin" / "python"


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, cases in CASES.items() for name in cases])
def test_as_in_real_caffe(file: str, name: str) -> None:
    case = CASES[file][name]
    compare(case, run_case(case), golden_case(file, name))


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The goldens, made anew by real Caffe in one process."""
    if not CAFFE.exists():
        pytest.skip("real Caffe is not installed (.caffe)")
    folder = tmp_path_factory.mktemp("goldens")
    done = subprocess.run(
        [CAFFE, HERE / "make_goldens.py", "--out", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"real Caffe aborted: {done.stderr[-2000:]}"
    return folder


@pytest.mark.parametrize("file", CASES)
def test_goldens_are_what_real_caffe_gives_now(file: str, fresh: Path) -> None:
    stored = golden(file)
    assert stored is not None
    with np.load(fresh / f"{file}.npz") as now:
        assert set(now) == set(stored)
        for key in now:
            if key.endswith("structure"):
                assert str(now[key]) == str(stored[key])
            else:  # BLAS may sum in another order on another machine
                assert difference(stored[key], now[key]) <= 1e-6, key


def test_a_difference_is_seen() -> None:
    case = Case(net="")
    theirs = {"structure": np.array("{}"), "data/x": np.ones((2, 3)), "loss": np.float64(0)}
    for wrong in (1 + 1e-4, np.nan, np.inf):
        ours = {**theirs, "data/x": np.full((2, 3), wrong)}
        with pytest.raises(AssertionError, match="data/x: differs"):
            compare(case, ours, theirs)
