"""One command for everything: ``foolcaffe COMMAND …``, or ``python -m foolcaffe COMMAND …``."""

from __future__ import annotations

import sys
from importlib import import_module

from foolcaffe import engine, options
from foolcaffe.errors import EXIT_USAGE, nearest, run_cli

COMMANDS = {
    "fool": ("fool:main", "make a picture that the net takes for another class, changed as little as possible"),
    "train": ("photos:main", "train on a folder of your own images, or go on with a model that was rendered"),
    "evaluate": ("evaluate:main", "top-1 and top-5 of a model on its validation images"),
    "templates": ("templates:main", "draw what a linear net looks for"),
    "classes": ("listing:classes", "list a model's classes, or those whose name has a part"),
    "models": ("listing:models", "list the trained models"),
    "difficulty": ("difficulty:main", "how much must change until hundreds of images flip"),
    "explore": ("explore.__main__:main", "one page in which a picture is dragged along a template by hand"),
    "verify": ("verify:main", "judge PNGs that the explorer's page saved"),
    "study": ("study.__main__:main", "measure every claim of the post and the note, and write one report"),
    "toy": ("toy:main", "the post's ten-dimensional example"),
    "doctor": ("doctor:main", "what is here and what is missing: engines, packages, GPU, room"),
    "datasets": ("datasets.__main__:main", "get the demo's images, or Tiny ImageNet"),
    "lists": ("lists:main", "write the image lists of a dataset"),
    "lmdb": ("lmdb.cli:main", "build, check and compare LMDBs"),
    "validate": ("validate:main", "compare LMDBs and mean with their lists"),
    "render": ("render:main", "write a model's prototxts for a dataset"),
}
"""The commands: module and function, and what each does."""


def main(arguments: list[str]) -> int:
    """Hand the arguments to a command."""
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        print("usage: foolcaffe COMMAND …    (foolcaffe COMMAND --help says more)\n")
        print("\n".join(f"  {command:12} {text}" for command, (_, text) in COMMANDS.items()))
        return 0
    if name not in COMMANDS:
        hint = nearest(name, COMMANDS) or "foolcaffe --help lists them"
        print(f"foolcaffe: error: unknown command {name!r}\n    {hint}", file=sys.stderr)
        return EXIT_USAGE
    options.program = f"foolcaffe {name}"
    module, _, function = COMMANDS[name][0].partition(":")
    return int(getattr(import_module(f"foolcaffe.{module}"), function)(arguments[1:]) or 0)


def run() -> None:
    """Start as the console script ``foolcaffe``."""
    engine.enter()
    run_cli(main, "foolcaffe")


if __name__ == "__main__":
    run_cli(main, "foolcaffe")
