"""Timer: a stopwatch that waits for the GPU."""

from __future__ import annotations

import time

import torch

from torchcaffe import common


class Timer:
    """``start()``, ``stop()``, then ``ms`` between them."""

    def __init__(self) -> None:
        self._start = self._stop = 0.0

    def start(self) -> None:
        """Begin."""
        self._start = self._stop = _now()

    def stop(self) -> None:
        """End."""
        self._stop = _now()

    @property
    def ms(self) -> float:
        """Milliseconds between start and stop."""
        return (self._stop - self._start) * 1e3


def _now() -> float:
    kind = common.device().type
    if kind != "cpu":
        getattr(torch, kind).synchronize()
    return time.perf_counter()
