"""What the losses of labels share: which examples count, and what the sum is divided by (``loss_param``)."""

from __future__ import annotations

from typing import Any

import torch

from caffefiles.proto import caffe_pb2

_LossParameter = caffe_pb2.LossParameter


def mode(loss_param: Any) -> int:
    """The NormalizationMode; ``normalize`` (old) counts only where ``normalization`` is unset.

    Returns:
        a value of LossParameter.NormalizationMode.
    """
    if not loss_param.HasField("normalization") and loss_param.HasField("normalize"):
        return int(_LossParameter.VALID if loss_param.normalize else _LossParameter.BATCH_SIZE)
    return int(loss_param.normalization)


def normalizer(normalization: int, outer: int, inner: int, valid: torch.Tensor | None) -> float | torch.Tensor:
    """What a loss over outer × inner positions is divided by, never less than 1.

    Args:
        normalization: from :func:`mode`.
        outer: examples.
        inner: positions in an example.
        valid: boolean, which positions count; None if all do.
    """
    if normalization == _LossParameter.NONE:
        return 1.0
    if normalization == _LossParameter.BATCH_SIZE:
        return float(max(outer, 1))
    if normalization == _LossParameter.VALID and valid is not None:
        return valid.sum().clamp(min=1).to(torch.float32)  # stays on the device: no wait for a GPU
    return float(max(outer * inner, 1))
