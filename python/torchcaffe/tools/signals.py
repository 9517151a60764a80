"""SIGINT and SIGHUP as requests to a solver. Source: ``util/signal_handler.cpp``."""

from __future__ import annotations

import signal
from types import FrameType

from torchcaffe.solvers.base import NONE, SNAPSHOT, STOP
from torchcaffe.tools.program import CheckError

EFFECTS = (NONE, STOP, SNAPSHOT)


class Signals:
    """Takes the two signals while it is entered; each is answered once, SIGINT first.

    Args:
        sigint: "stop", "snapshot" or "none".
        sighup: the same.

    Raises:
        CheckError: another effect.
    """

    def __init__(self, sigint: str, sighup: str) -> None:
        for effect in (sigint, sighup):
            if effect not in EFFECTS:
                raise CheckError("caffe.cpp:162", f'Invalid signal effect "{effect}" was specified')
        self._effects = {signal.SIGINT: sigint}
        if hasattr(signal, "SIGHUP"):  # Windows has none
            self._effects[signal.SIGHUP] = sighup
        self._got = dict.fromkeys(self._effects, False)

    def __enter__(self) -> Signals:
        self._before = {number: signal.signal(number, self._take) for number in self._effects}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._got[signal.Signals(number)] = True

    def action(self) -> str:
        """What has been asked for since the last call, for :attr:`~torchcaffe.solvers.base.Solver.action`."""
        for number, effect in self._effects.items():
            if self._got[number]:
                self._got[number] = False
                return effect
        return NONE
