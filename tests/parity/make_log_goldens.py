"""Runs real Caffe's ``caffe train`` over ``training.LOGGED_RUNS`` and stores its log, less times and process ids.

.caffe/bin/python tests/parity/make_log_goldens.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "python")]

if __name__ == "__main__":
    from programs import caffe, cleaned
    from training import LOGGED_RUNS, prepare_logged

    for name, extra in LOGGED_RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            solver = prepare_logged(Path(folder), extra)
            done = caffe("caffe", "train", "-solver", solver.name)
            text = f"# caffe train -solver {solver.name}\n" + "\n".join(cleaned(done.stderr)) + "\n"
            (HERE / "goldens" / f"log_{name}.txt").write_text(text)
            os.chdir("/")
