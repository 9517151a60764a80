"""The device that ``-gpu`` means, and the precision of its products."""

from __future__ import annotations

import torch

from torchcaffe import common, log, matmul
from torchcaffe.tools.program import CheckError

PRECISIONS = ("float32", "tf32", "bf16")


def gpu_ids(asked: str) -> list[int]:
    """The ids in a ``-gpu`` flag: none for the CPU; ``all`` is every one.

    Raises:
        CheckError: it is no list of ids.
        CaffeError: all GPUs are asked for, and there is none.
    """
    if not asked:
        return []
    if asked == "all":
        return list(range(getattr(torch, common.accelerator()).device_count()))
    if not all(part.strip().isdigit() for part in asked.split(",")):
        raise CheckError("caffe.cpp:105", f"-gpu {asked}: expected all, or ids as 0,1")
    return [int(part) for part in asked.split(",")]


def use(asked: str, precision: str, at: str) -> None:
    """Switch to the GPU that the flag names, or to the CPU, and say so.

    Raises:
        CheckError: several GPUs, no such precision, or one that the CPU does not have.
        CaffeError: there is no such GPU.
    """
    if precision not in PRECISIONS:
        raise CheckError("caffe.cpp:162", f"--precision {precision}: expected {', '.join(PRECISIONS)}")
    ids = gpu_ids(asked)
    if not ids:
        if precision != "float32":
            raise CheckError("caffe.cpp:162", f"--precision {precision} needs -gpu: the CPU computes in float32")
        common.set_mode_cpu()
        log.info(at, "Use CPU.")
        return
    if len(ids) > 1:
        raise CheckError("caffe.cpp:206", f"-gpu {asked}: torchcaffe trains on one GPU; give one id")
    common.set_mode_gpu()
    common.set_device(ids[0])
    matmul.set_precision(precision)
    log.info(at, "Use GPU with device ID %d", ids[0])
    if common.accelerator() == "cuda":
        log.info(at, "GPU device name: %s", torch.cuda.get_device_name(ids[0]))
