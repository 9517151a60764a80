"""How a command ends: a user's mistake is one message and an exit code, Ctrl-C is 130, a bug a traceback."""

from __future__ import annotations

import os
import sys
from typing import Callable

from caffefiles.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, CaffeError, nearest, os_error_message

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_USAGE", "FoolCaffeError", "nearest", "os_error_message", "run_cli"]

FoolCaffeError = CaffeError
"""The base of every error that a user can mend, whichever of the three packages raises it."""


def run_cli(main: Callable[[list[str]], int | None], program: str) -> None:
    """Run a command line: a user's mistake becomes one message and an exit code, Ctrl-C becomes 130, a bug a traceback.

    Args:
        main: takes the arguments, returns the exit code (None is 0).
        program: printed before a message, ``foolcaffe.fool`` say.
    """
    try:
        code = main(sys.argv[1:])
    except FoolCaffeError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        code = EXIT_FAILED
    except BrokenPipeError:  # `| head` closed our output: not worth a word
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    except OSError as error:
        print(f"{program}: error: {os_error_message(error)}", file=sys.stderr)
        code = EXIT_FAILED
    except KeyboardInterrupt:
        print(f"\n{program}: interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    sys.exit(code)
