"""Caffe's training log, as read: losses, test scores, iterations. Positions and words are Caffe's (solver.cpp)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|nan|inf))"
_TRAIN = re.compile(r"Iteration (\d+)(?: \([^)]*\))?, loss = " + _NUMBER)
_TESTING = re.compile(r"Iteration (\d+), Testing net \(#0\)")
_OUTPUT = re.compile(r"Test net output #\d+: (\S+) = " + _NUMBER)
_FATAL = re.compile(r"^F\d{4} [\d:.]+ +\d+ ([^\]]+)\] (.*)")

DIVERGED_LOSS = 80.0
"""SoftmaxWithLoss ends at -log(FLT_MIN) = 87.3; a loss from here on means that most examples have reached the end."""


@dataclass
class TrainLog:
    """What a log holds.

    ``loss`` is (iteration, smoothed training loss); ``tests`` is iteration → output name → value; ``fatal`` is the
    text of a failed check, if Caffe aborted; ``done`` and ``stopped`` say how it ended.
    """

    loss: list[tuple[int, float]] = field(default_factory=list)
    tests: dict[int, dict[str, float]] = field(default_factory=dict)
    fatal: str = ""
    done: bool = False
    stopped: bool = False
    _testing: int | None = None

    def feed(self, line: str) -> None:
        """Take one line; a line of an earlier iteration (a resumed run) replaces what came after it."""
        if match := _TESTING.search(line):
            self._testing = int(match.group(1))
            self.tests[self._testing] = {}
        elif match := _TRAIN.search(line):
            iteration = int(match.group(1))
            while self.loss and self.loss[-1][0] >= iteration:
                self.loss.pop()
            self.loss.append((iteration, float(match.group(2))))
        elif (match := _OUTPUT.search(line)) and self._testing is not None:
            self.tests[self._testing][match.group(1)] = float(match.group(2))
        elif match := _FATAL.search(line):
            self.fatal = f"{match.group(1)}: {match.group(2)}"
        elif "Optimization Done." in line:
            self.done = True
        elif "Optimization stopped early." in line:
            self.stopped = True

    @property
    def diverged(self) -> bool:
        """The latest loss is not finite, at the end of the scale, or more than twice the first one.

        With few classes a net that has exploded is right by chance too often to reach the end of the scale.
        """
        if not self.loss or self.loss[-1][0] == 0:
            return False
        last = self.loss[-1][1]
        return not last < min(DIVERGED_LOSS, 2 * max(self.loss[0][1], 1.0))

    @property
    def bad_start(self) -> bool:
        """The very first loss is at the end of the scale: the weights begin far too large."""
        return bool(self.loss) and self.loss[0][0] == 0 and not self.loss[0][1] < DIVERGED_LOSS / 2


def parse(lines: Iterable[str]) -> TrainLog:
    """Read a whole log."""
    log = TrainLog()
    for line in lines:
        log.feed(line)
    return log
