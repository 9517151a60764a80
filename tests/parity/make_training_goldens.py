"""Trains ``training.RUNS`` in real Caffe and stores what comes out. Real Caffe's Python runs it.

.caffe/bin/python tests/parity/make_training_goldens.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

os.environ.setdefault("GLOG_minloglevel", "2")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "python")]

if __name__ == "__main__":
    import caffe
    from training import RUNS, prepare, train

    stored = {}
    for name in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            prepare(Path(folder), name)
            solver = caffe.get_solver("solver.prototxt")
            net = solver.net
            fc = net.params["fc"][0]
            result = train(solver, lambda net=net: net.blobs["loss"].data, lambda fc=fc: fc.data, lambda fc=fc: fc.diff)
            stored.update({f"{name}|{key}": value for key, value in result.items()})
    np.savez_compressed(HERE / "goldens" / "training.npz", **stored)
