"""``python -m foolcaffe.lmdb``."""

from foolcaffe.errors import run_cli
from foolcaffe.lmdb.cli import main

run_cli(main, "foolcaffe.lmdb")
