"""Command line flags as gflags reads them: ``-name value``, ``--name=value``, ``--name``, ``--noname``, anywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

Value = Union[str, int, bool]

_BOOLEANS = {
    **dict.fromkeys(("1", "t", "true", "y", "yes"), True),
    **dict.fromkeys(("0", "f", "false", "n", "no"), False),
}
_GLOG = ("logtostderr", "alsologtostderr", "colorlogtostderr")
_GLOG_VALUES = ("minloglevel", "stderrthreshold", "v", "log_dir")


@dataclass(frozen=True)
class Flag:
    """A flag: its name, its default (whose type is the flag's) and what it is for."""

    name: str
    default: Value
    help: str

    @property
    def type(self) -> str:
        """gflags' name of the type."""
        return {str: "string", int: "int32", bool: "bool"}[type(self.default)]


class UsageError(Exception):
    """The arguments are no such flags; gflags' own words."""


def parse(flags: Sequence[Flag], arguments: Sequence[str]) -> tuple[dict[str, Value], list[str]]:
    """The value of every flag, and the other arguments in order. ``-`` and all after ``--`` are other arguments.

    glog's own flags are taken too; of these ``minloglevel`` counts.

    Raises:
        UsageError: an unknown flag, or a value that is missing or of another type.
    """
    known = {flag.name: flag for flag in flags}
    for name in _GLOG:
        known[name] = Flag(name, True, "glog: log to standard error, as is always done")
    for name in _GLOG_VALUES:
        known[name] = Flag(name, "", "glog's flag")
    values: dict[str, Value] = {flag.name: flag.default for flag in known.values()}
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        if word == "--":
            rest += queue
            break
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, equals, text = word.lstrip("-").partition("=")
        flag = known.get(name)
        if flag is None and not equals and name.startswith("no") and isinstance(values.get(name[2:]), bool):
            values[name[2:]] = False
        elif flag is None:
            raise UsageError(f"unknown command line flag '{name}'")
        elif equals:
            values[name] = _value(flag, text)
        elif isinstance(flag.default, bool):
            values[name] = True
        elif queue:
            values[name] = _value(flag, queue.pop(0))
        else:
            raise UsageError(f"flag '{word}' is missing its argument; flag description: {flag.help}")
    if values["minloglevel"]:
        os.environ["GLOG_minloglevel"] = str(values["minloglevel"])  # noqa: SIM112 - glog spells it so
    return values, rest


def _value(flag: Flag, text: str) -> Value:
    if isinstance(flag.default, bool):
        if text.lower() in _BOOLEANS:
            return _BOOLEANS[text.lower()]
    elif isinstance(flag.default, int):
        try:
            number = int(text, 0)
        except ValueError:
            number = 1 << 40
        if -(1 << 31) <= number < 1 << 31:
            return number
    else:
        return text
    raise UsageError(f"illegal value '{text}' specified for {flag.type} flag '{flag.name}'")


def usage(text: str, flags: Sequence[Flag]) -> str:
    """The program's usage with its flags."""
    lines = [text, "", "  Flags:"]
    for flag in sorted(flags, key=lambda flag: flag.name):
        default = f'"{flag.default}"' if isinstance(flag.default, str) else str(flag.default).lower()
        lines.append(f"    -{flag.name} ({flag.help}) type: {flag.type} default: {default}")
    return "\n".join(lines) + "\n"


def read(
    text: str, flags: Sequence[Flag], arguments: Sequence[str], version: str
) -> tuple[dict[str, Value], list[str]]:
    """:func:`parse` for a program: ``--help`` and ``--version`` print and exit, and so does a mistake (code 1)."""
    words = {word.lstrip("-") for word in arguments if word.startswith("-")}
    if words & {"help", "helpshort", "h"}:
        sys.stdout.write(usage(text, flags))
        sys.exit(1)  # gflags' code
    if "version" in words:
        sys.stdout.write(version + "\n")
        sys.exit(0)
    try:
        return parse(flags, arguments)
    except UsageError as error:
        sys.stderr.write(f"ERROR: {error}\n")
        sys.exit(1)
