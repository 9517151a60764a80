"""50 iterations from the same seed give real Caffe's losses and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training import RUNS, prepare, train

from torchcaffe.solvers.registry import get_solver

GOLDEN = Path(__file__).parent / "goldens" / "training.npz"


@pytest.mark.parametrize("name", RUNS)
def test_as_in_real_caffe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    solver = get_solver(prepare(tmp_path, name))
    net = solver.net
    fc = net.layer("fc").blobs[0]
    ours = train(solver, lambda: net.blob("loss").array, lambda: fc.array, lambda: fc.diff_array)
    with np.load(GOLDEN) as stored:
        theirs = {key: stored[f"{name}|{key}"] for key in ours}
    assert np.array_equal(ours["first"], theirs["first"])
    loss_error = np.max(np.abs(ours["losses"] / theirs["losses"] - 1))
    weight_error = np.linalg.norm(ours["last"] - theirs["last"]) / np.linalg.norm(theirs["last"])
    step_error = np.linalg.norm(ours["step"] - theirs["step"]) / np.linalg.norm(theirs["step"])
    print(f"losses {loss_error:.1e}, weights {weight_error:.1e}, last step {step_error:.1e}")
    assert loss_error <= 5e-6
    assert weight_error <= 1e-6
    assert step_error <= 2e-5
