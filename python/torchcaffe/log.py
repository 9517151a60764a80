"""What is said along the way, as Caffe says it: log scripts find their lines by these words.

Messages go to the logger ``torchcaffe`` and are seen only where a program handles it (:mod:`torchcaffe.tools.glog`).
Each carries the file and line that real Caffe 1.0 prints before it, which scripts search for too.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from caffefiles.prototxt import to_text

log = logging.getLogger("torchcaffe")


def info(at: str, message: str, *arguments: Any) -> None:
    """Say something; ``at`` is its place in Caffe, ``solver.cpp:347`` say."""
    log.info(message, *arguments, extra={"at": at})


def error(at: str, message: str, *arguments: Any) -> None:
    """Say something at glog's level E."""
    log.error(message, *arguments, extra={"at": at})


def enabled() -> bool:
    """Will anybody hear :func:`info`?"""
    return log.isEnabledFor(logging.INFO)


def prototxt(message: Any) -> str:
    """A message's text as C++ writes it: whole floats without a fraction."""
    return re.sub(r"^(\s*\w+: -?\d+)\.0$", r"\1", to_text(message), flags=re.MULTILINE)
