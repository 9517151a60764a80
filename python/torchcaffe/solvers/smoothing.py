"""The displayed loss: a running mean in float32, as Caffe updates it. Source: ``solver.cpp`` (UpdateSmoothedLoss)."""

from __future__ import annotations

import numpy as np
import torch


class SmoothedLoss:
    """The mean of the last ``window`` losses since :meth:`restart`.

    A loss stays on its device until the mean is asked for, so that no iteration waits for a GPU.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self.restart()

    def restart(self) -> None:
        """Forget all losses."""
        self._pending: list[torch.Tensor] = []
        self._ring: list[np.float32] = []
        self._count = 0
        self._mean = np.float32(0)

    def add(self, loss: torch.Tensor) -> None:
        """Take an iteration's loss, a scalar."""
        self._pending.append(loss)
        if len(self._pending) >= 1024:
            self.value()

    def value(self) -> np.float32:
        """The mean; 0 before the first loss."""
        if self._pending:
            for loss in torch.stack(self._pending).cpu().numpy().astype(np.float32):
                self._update(loss)
            self._pending.clear()
        return self._mean

    def _update(self, loss: np.float32) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            if len(self._ring) < self._window:
                self._ring.append(loss)
                size = np.float32(len(self._ring))
                self._mean = np.float32((self._mean * (size - np.float32(1)) + loss) / size)
            else:
                i = self._count % self._window
                self._mean = np.float32(self._mean + (loss - self._ring[i]) / np.float32(self._window))
                self._ring[i] = loss
        self._count += 1
