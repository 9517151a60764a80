"""init_log and log: what the engine says along the way, on standard error."""

from __future__ import annotations

import logging
import sys

_LEVELS = (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)


def init_log(min_log_level: int | None = None, to_stderr: bool = True) -> None:
    """Show what the engine says: nets being built, training, …

    Args:
        min_log_level: 0 (all) … 3 (fatal only); None keeps what was set before.
        to_stderr: write it to standard error; False shows nothing.

    Raises:
        ValueError: there is no such level.
    """
    logger = logging.getLogger("torchcaffe")
    if min_log_level is not None:
        if not 0 <= min_log_level < len(_LEVELS):
            raise ValueError(f"log level {min_log_level} is not in 0..{len(_LEVELS) - 1}")
        logger.setLevel(_LEVELS[min_log_level])
    elif logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if to_stderr and not logger.handlers:
        logger.addHandler(logging.StreamHandler(sys.stderr))


def log(message: str) -> None:
    """Say something among the engine's own messages."""
    logging.getLogger("torchcaffe").info("%s", message, extra={"at": "pycaffe.cpp:1"})
