"""Run ``python -m MODULE ARGUMENTS...`` with the further options that a variable of the environment holds.

The variable's text is split as a shell splits words, quotes and backslashes included; nothing in it is expanded or run.
"""

from __future__ import annotations

import os
import shlex
import sys


def main(arguments: list[str]) -> None:
    """``arguments``: the variable's name, the module, and the module's arguments."""
    variable, *command = arguments
    text = os.environ.get(variable, "")
    try:
        command = [sys.executable, "-m", *command, *shlex.split(text)]
    except ValueError as error:
        print(
            f"make: error: {variable}={text}: {error}\n    close every quote; write a backslash twice", file=sys.stderr
        )
        sys.exit(2)
    print(shlex.join(command), flush=True)
    os.execv(sys.executable, command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
