"""Matrix products, by the fastest float32 kernel that PyTorch carries for the device.

PyTorch's ``mm`` on x86 is MKL's, which takes two to three times as long on AMD processors as oneDNN in the same
wheel (256 × 12288 by 12288 × 1000: 72 against 24 ms on two EPYC cores). PyTorch has it as an operator of its compiler.

On an H100 the same product takes 267 µs in float32 with the bias inside (``addmm`` with a row goes to cuBLASLt), and
146 µs, plus 2 for the bias, without.
"""

from __future__ import annotations

from typing import Any

import torch

try:
    _linear: Any = torch.ops.mkldnn._linear_pointwise.default
except (AttributeError, RuntimeError):  # another processor, or a build without oneDNN
    _linear = None

_wide: Any = getattr(torch.ops.aten.mm, "dtype_out", None)
"""bfloat16 products written as float32; without it, or on a GPU before Ampere, they are rounded, and then copied."""
_bfloat16 = _writes_wide = False


def precision() -> tuple[Any, ...]:
    """What decides how GPUs multiply, for comparing."""
    gpu: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    if hasattr(gpu, "fp32_precision"):  # reading allow_tf32 is an error where a program has set this
        return _bfloat16, gpu.fp32_precision, getattr(getattr(cudnn, "conv", None), "fp32_precision", None)
    return _bfloat16, gpu.allow_tf32, cudnn.allow_tf32


def set_precision(name: str) -> None:
    """How GPUs multiply: "float32", "tf32" (10-bit mantissas), or "bf16" (8-bit ones; sums stay float32).

    Data, parameters and updates are float32 in each.
    """
    global _bfloat16, _writes_wide
    _bfloat16 = name == "bf16"
    if _bfloat16 and _wide is not None and torch.version.hip is None and torch.cuda.is_available():
        _writes_wide = torch.cuda.get_device_capability() >= (8, 0)
    torch.backends.cuda.matmul.allow_tf32 = name != "float32"
    torch.backends.cudnn.allow_tf32 = name != "float32"


def mm(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, bias: torch.Tensor | None = None, beta: int = 0) -> None:
    """out = a b (+ bias, a row) + beta · out.

    Args:
        a: M × K.
        b: K × N.
        out: M × N, contiguous.
        bias: N values.
        beta: 0 or 1; 0 reads nothing of ``out``, be it NaN.
    """
    if _linear is not None and a.device.type == "cpu" and a.dtype == torch.float32 and min(*a.shape, *b.shape) > 0:
        product = _linear(a, b.t(), bias, "none", [], "")
        out.add_(product) if beta else out.copy_(product)
        return
    if _bfloat16 and a.dtype == torch.float32:
        if beta:
            out.add_(_bfloat16_product(a, b, torch.empty_like(out)))
        else:
            _bfloat16_product(a, b, out)
    elif beta:
        torch.addmm(out, a, b, out=out)
    elif bias is not None and a.device.type == "cpu":
        torch.addmm(bias, a, b, out=out)
        return
    else:
        torch.mm(a, b, out=out)
    if bias is not None:
        out.add_(bias)


def _bfloat16_product(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    if _writes_wide and a.device.type == "cuda":
        _wide(a.bfloat16(), b.bfloat16(), torch.float32, out=out)
    else:
        out.copy_(a.bfloat16() @ b.bfloat16())
    return out
