"""Runs the parity cases in real Caffe and stores what it gives. Real Caffe's Python runs it.

.caffe/bin/python tests/parity/make_goldens.py [--out FOLDER] [case file ...]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("GLOG_minloglevel", "2")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "python")]

from parity import GOLDENS, load_cases, run_case  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDENS)
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    cases = load_cases()
    args.out.mkdir(parents=True, exist_ok=True)
    for file in args.files or cases:
        arrays = {}
        for name, case in cases[file].items():
            print(
                f"{file}/{name}", file=sys.stderr, flush=True
            )  # real Caffe aborts on a mistake: the last line says where
            for key, value in run_case(case, real=True).items():
                arrays[f"{name}|{key}"] = value
        np.savez_compressed(args.out / f"{file}.npz", **arrays)
