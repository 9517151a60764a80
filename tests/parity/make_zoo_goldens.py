"""Runs the zoo's nets in real Caffe and stores what it gives. Real Caffe's Python runs it.

.caffe/bin/python tests/parity/make_zoo_goldens.py [--out FOLDER] [net ...]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("GLOG_minloglevel", "2")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "python")]

from zoo import NETS, summary  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "goldens" / "zoo")
    parser.add_argument("nets", nargs="*")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.nets or NETS:
        given = {phase: summary(name, phase, real=True) for phase in ("TRAIN", "TEST")}
        print(f"{name}: losses {given['TRAIN']['loss']:.6g}, {given['TEST']['loss']:.6g}", file=sys.stderr, flush=True)
        text = json.dumps(given, indent=0).encode()
        (args.out / f"{name}.json.gz").write_bytes(gzip.compress(text, mtime=0))
