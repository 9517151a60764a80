"""The momentum update in one pass over memory, where PyTorch has a kernel for it.

Weights, gradient and history of a linear net are larger than the caches: written as four operations, as in Caffe, the
update moves 11 arrays, in one pass 5. PyTorch's kernel computes b ← μ·b + (1 − dampening)·(g + λ·w), w ← w − lr·b;
with lr = 1 and dampening = 1 − r that is Caffe's rule, the rate inside the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

_kernel: Any = getattr(torch, "_fused_sgd_", None)
_KINDS = ("cpu", "cuda")
TOGETHER = ("cuda",)
"""Where parameters of one rate and decay are updated by one kernel: there starting a kernel takes time."""

Triple = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def momentum_steps(triples: Sequence[Triple], momentum: float, rate: float, decay: float) -> None:
    """h ← μ·h + r·(g + λ·w), w ← w − h, for several w, g and h on one device; each g may be overwritten.

    Args:
        triples: weights w and history h, both changed in place, with the gradient g between them.
        momentum: μ.
        rate: r.
        decay: λ.
    """
    weights, _, _ = triples[0]
    if _kernel is not None and weights.device.type in _KINDS and momentum:
        whole = [[tensor.view(-1) for tensor in triple] for triple in triples if triple[0].numel()]
        if whole:
            _kernel(
                *map(list, zip(*whole)),
                weight_decay=decay,
                momentum=momentum,
                lr=1.0,
                dampening=1.0 - rate,
                nesterov=False,
                maximize=False,
                is_first_step=False,
            )
        return
    for weights, gradient, history in triples:
        if decay:
            gradient.add_(weights, alpha=decay)
        history.mul_(momentum).add_(gradient, alpha=rate)
        weights.sub_(history)
