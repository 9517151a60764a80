"""Log lines as Google's glog writes them: ``I1120 19:02:31.667109  7854 solver.cpp:332] Optimization Done.``

``GLOG_minloglevel`` (0 to 3: from which of I, W, E, F on) is obeyed. Lines go to standard error, as with
``GLOG_logtostderr=1``; no log files are written.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from torchcaffe.log import log

_LETTERS = {logging.INFO: "I", logging.WARNING: "W", logging.ERROR: "E", logging.CRITICAL: "F"}
_LEVELS = (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)


def line(letter: str, at: str, message: str, now: float | None = None) -> str:
    """A whole line, ended by a newline unless the message has one; ``now`` is seconds since 1970."""
    now = time.time() if now is None else now
    stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now))
    thread = threading.get_native_id()
    return f"{letter}{stamp}.{int(now % 1 * 1e6):06d} {thread:5d} {at}] {message}" + (
        "" if message.endswith("\n") else "\n"
    )


class _Handler(logging.Handler):
    """Writes records to a stream, each line at once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        at = getattr(record, "at", None) or f"{Path(record.pathname).stem}.cpp:{record.lineno}"
        self._stream.write(line(_LETTERS.get(record.levelno, "I"), at, record.getMessage(), record.created))
        self._stream.flush()


def minimum_level() -> int:
    """The least level of :mod:`logging` that ``GLOG_minloglevel`` lets through; all of them if it is unset."""
    given = os.environ.get("GLOG_minloglevel", "0")  # noqa: SIM112 - glog spells it so
    return _LEVELS[min(max(int(given), 0), 3)] if given.lstrip("-").isdigit() else logging.INFO


@contextmanager
def to_stderr(level: int | None = None) -> Iterator[None]:
    """Write torchcaffe's log to standard error."""
    handler = _Handler(sys.stderr)
    before = log.level, log.propagate
    log.setLevel(minimum_level() if level is None else level)
    log.propagate = False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.level, log.propagate = before


def fatal(at: str, message: str) -> None:
    """Say why the program ends, in one line, whatever the level."""
    sys.stderr.write(line("F", at, " ".join(message.split())))
    sys.stderr.flush()
