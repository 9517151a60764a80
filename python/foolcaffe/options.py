"""The options that several commands have, each with one meaning and one wording of help."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

program = ""
"""What the usage calls the program, where it is not ``python -m <module>``: set by the command ``foolcaffe``."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "model": {"help": "build/<dataset>/<model>, or its name (default: the model trained last)"},
    "weights": {"type": Path, "help": "a .caffemodel other than the finished one"},
    "mean": {"type": Path, "help": "a mean other than the dataset's"},
    "device": {"type": int, "metavar": "ID", "help": "compute on this GPU (default: the CPU)"},
    "gpu": {"default": "auto", "help": "the GPUs to use: auto (default), cpu, all, or ids such as 0,1"},
    "seed": {"type": int, "default": 1, "help": "seed of every random draw (default: %(default)s)"},
    "json": {"action": "store_true", "help": "print the results as JSON"},
    "quiet": {"action": "store_true", "help": "print no progress, only results and errors"},
}


def shared(*names: str, **defaults: Any) -> argparse.ArgumentParser:
    """Return a parser with some of the shared options, for ``ArgumentParser(parents=[…])``.

    Args:
        names: ``model``, ``weights``, ``mean``, ``device`` (``--gpu ID``), ``gpu`` (``--gpu auto|cpu|all|0,1``),
            ``seed``, ``json`` or ``quiet``.
        defaults: default values of this command that differ, as ``seed=11``.
    """
    parser = argparse.ArgumentParser(add_help=False)
    for name in names:
        parser.add_argument("--gpu" if name == "device" else f"--{name}", **_OPTIONS[name])
    parser.set_defaults(**defaults)
    return parser


def command_line(
    module: str, description: str | None, names: str = "", epilog: str | None = None, **defaults: Any
) -> argparse.ArgumentParser:
    """Return the parser of ``python -m <module>``, with some of the shared options.

    Args:
        module: its name; or what the program is called, of several words.
        description: the first lines of its help, usually ``__doc__``; printed with its own line breaks.
        names: of the shared options, with spaces between.
        epilog: the last lines.
        defaults: as for :func:`shared`.
    """
    return argparse.ArgumentParser(
        prog=program or (module if " " in module else f"python -m {module}"),
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared(*names.split(), **defaults)],
    )
