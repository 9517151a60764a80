"""Errors are part of the interface: what is wrong, where, what was expected, what to do."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
from collections.abc import Iterable
from typing import Any

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class CaffeError(Exception):
    """A mistake that the user can mend. ``str(error)`` is the whole message.

    Args:
        message: what is wrong and where, in one sentence.
        hint: what was expected, or what to do; printed on lines of its own.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message if not hint else f"{message}\n    " + hint.replace("\n", "\n    "))
        self.message = message
        self.hint = hint


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """A phrase that offers the known names nearest to ``name``, or an empty string."""
    known = list(known)
    folded = {k.lower(): k for k in known}
    matches = difflib.get_close_matches(name.lower(), folded, count, 0.6)
    matches += [k for k in folded if name.lower() in k and k not in matches][: count - len(matches)]
    return "did you mean " + " or ".join(repr(folded[m]) for m in matches) + "?" if matches else ""


def optional(package: str, what: str, install: str = "") -> Any:
    """Import a package that only some users need.

    Args:
        package: the module's dotted name.
        what: what needs it, at the start of a sentence.
        install: what pip installs for it, if that has another name.

    Raises:
        CaffeError: if it is not installed; the hint says how to install it.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise CaffeError(
            f"{what} needs the package {name}, which is not installed", f"pip install {install or name}"
        ) from None


def os_error_message(error: OSError) -> str:
    """One sentence for an operating system's refusal, naming the file and, where it can be told, the cause."""
    where = f" {os.fspath(error.filename)!r}" if isinstance(error.filename, (str, os.PathLike)) else ""
    cause = {
        errno.ENOSPC: "the disk is full; nothing finished was lost, make room and run it again",
        errno.EDQUOT: "the disk quota is used up; make room and run it again",
        errno.EFBIG: "the file would exceed the size limit (ulimit -f); raise it and run it again",
        errno.EACCES: "permission denied; choose another folder or mend its permissions",
        errno.EPERM: "permission denied; choose another folder or mend its permissions",
        errno.EROFS: "the file system is read-only; choose another folder",
        errno.ENOENT: "no such file or folder",
        errno.EEXIST: "a file of that name is there; choose another name or remove it",
        errno.EISDIR: "is a folder, a file was expected",
        errno.ENOTDIR: "is not a folder",
    }.get(error.errno or 0, error.strerror or str(error))
    return f"cannot use{where}: {cause}" if where else cause
