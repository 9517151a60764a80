"""Writes ``goldens/upgraded/``: what real Caffe's upgrade tools make of ``upgrade_cases``. Any Python runs it.

python tests/parity/make_upgrade_goldens.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = HERE.parents[1] / ".caffe" / "bin"
GOLDENS = HERE / "goldens" / "upgraded"

if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    from upgrade_cases import NETS, SOLVERS

    GOLDENS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old.prototxt"
        for kind, cases in (("net_proto", NETS), ("solver_proto", SOLVERS)):
            for name, text in cases.items():
                old.write_text(text)
                tool = BIN / f"upgrade_{kind}_text"
                subprocess.run([tool, old, GOLDENS / f"{name}.prototxt"], check=True, capture_output=True)
