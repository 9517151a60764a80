"""Which GPUs this machine has and whether the engine can use them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from foolcaffe.errors import FoolCaffeError


def has_gpu(caffe_command: list[str]) -> bool:
    """Whether ``caffe device_query -gpu 0`` finds a GPU: False for a CPU-only build or a machine without one."""
    if not Path("/dev/nvidiactl").exists() and not Path("/dev/dxg").exists():
        return False
    try:
        query = subprocess.run(
            [*caffe_command, "device_query", "-gpu", "0"], capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return query.returncode == 0


def choose(caffe_command: list[str], asked: str) -> str:
    """The value for ``caffe train -gpu``; an empty string means CPU.

    Args:
        caffe_command: the engine's ``caffe``.
        asked: ``auto``, ``cpu``, ``all``, or ids as ``0,1``.

    Raises:
        FoolCaffeError: ids were asked for, but there is no GPU that this engine can use; or they are no ids.
    """
    if asked == "cpu":
        return ""
    if asked not in ("auto", "all") and not all(part.isdigit() for part in asked.split(",")):
        raise FoolCaffeError(f"--gpu {asked!r}: expected auto, cpu, all, or ids as 0,1")
    if has_gpu(caffe_command):
        return "0" if asked == "auto" else asked
    if asked == "auto":
        return ""
    raise FoolCaffeError(
        f"--gpu {asked}: no GPU that this Caffe can use",
        "no NVIDIA driver here, or Caffe was built without CUDA (Debian's is); "
        "train on the CPU with --gpu cpu, or take the Docker image with CUDA",
    )
