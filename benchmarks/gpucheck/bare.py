"""The linear net's step in bare PyTorch, written by hand: the same arithmetic, without nets, layers and solvers."""

from __future__ import annotations

from typing import Any

import torch

MOMENTUM, RATE, DECAY = 0.9, 1e-7, 100.0


class Bare:
    """Softmax regression on resident bytes with momentum and weight decay, one call a step.

    Args:
        pixels: bytes, N × 3 × 64 × 64.
        labels: N floats.
        classes: how many.
        batch: examples a step.
        mean: subtracted, 3 × 64 × 64.
        bf16: are products taken of bfloat16 copies?
    """

    def __init__(
        self, pixels: torch.Tensor, labels: torch.Tensor, classes: int, batch: int, mean: torch.Tensor, bf16: bool
    ) -> None:
        inputs, device = pixels[0].numel(), pixels.device
        self.pixels, self.labels, self.batch, self.mean, self.bf16 = pixels, labels, batch, mean, bf16
        self.weights = torch.randn(classes, inputs, device=device) * 1e-4
        self.bias = torch.zeros(classes, device=device)
        self.history = [torch.zeros_like(self.weights), torch.zeros_like(self.bias)]
        self.raw = torch.zeros_like(pixels[:batch])
        self.target = torch.zeros_like(labels[:batch])
        self.next = 0
        self._graph: Any = None

    def fetch(self) -> None:
        """The next batch."""
        if self.next + self.batch > len(self.pixels):
            self.next = 0
        self.raw.copy_(self.pixels[self.next : self.next + self.batch])
        self.target.copy_(self.labels[self.next : self.next + self.batch])
        self.next += self.batch

    def _product(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a.bfloat16() @ b.bfloat16()).float() if self.bf16 else a @ b

    def compute(self) -> None:
        """Forward, backward, update, of the batch that was fetched."""
        x = (self.raw - self.mean).view(self.batch, -1)
        p = torch.softmax(self._product(x, self.weights.t()).add_(self.bias), 1)
        target = self.target.long()[:, None]
        self.loss = p.gather(1, target).log_().mean().neg_()
        p.scatter_add_(1, target, torch.full_like(target, -1, dtype=p.dtype)).mul_(1 / self.batch)
        gradient, bias_gradient = self._product(p.t(), x), p.sum(0)
        for w, g, h, rate, decay in (
            (self.weights, gradient, self.history[0], RATE, DECAY),
            (self.bias, bias_gradient, self.history[1], 2 * RATE, 0.0),
        ):
            torch._fused_sgd_(
                [w],
                [g],
                [h],
                weight_decay=decay,
                momentum=MOMENTUM,
                lr=1.0,
                dampening=1.0 - rate,
                nesterov=False,
                maximize=False,
                is_first_step=False,
            )

    def capture(self) -> None:
        """From now on the computation is one CUDA graph; fetching is not part of it."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.compute()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self.compute()

    def step(self, count: int) -> None:
        """So many steps."""
        for _ in range(count):
            self.fetch()
            if self._graph is None:
                self.compute()
            else:
                self._graph.replay()
