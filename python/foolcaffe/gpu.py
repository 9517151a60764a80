"""Which GPUs this machine has, whether the engine can use them, and what Caffe's words for GPU trouble mean."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from foolcaffe.errors import FoolCaffeError

DEVICE_NODES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""What a loaded NVIDIA driver shows: Linux's, and Windows's inside WSL."""

_SMALLER = (
    "lower batch_size in train_val.prototxt (half of it halves the memory that the blobs need), or free the GPU:\n"
    "nvidia-smi lists what else runs on it; or take another one with GPU=1, or the CPU with GPU=cpu"
)
_NO_DRIVER = (
    "install NVIDIA's driver, or start the container with --gpus all (it needs the NVIDIA container toolkit);\n"
    "nvidia-smi must list the GPU; or train on the CPU, GPU=cpu, with a Caffe built without CUDA (in Docker: CAFFE=cpu)"
)
_TOO_NEW = (
    "this Caffe holds neither code nor PTX for this GPU's architecture: take the engine that knows it, ENGINE=torch\n"
    "(in Docker: Dockerfile.torch), build the image with more in CUDA_CODE and CUDA_PTX, or use the CPU: GPU=cpu"
)
_OLD_DRIVER = (
    "NVIDIA's driver is older than the CUDA that this Caffe was built with: install a newer driver (CUDA 11.2 needs\n"
    "460.27 or later), or train on the CPU, GPU=cpu, with a Caffe built without CUDA (in Docker: CAFFE=cpu)"
)
_BUSY = "another process holds it, or it is in exclusive mode: nvidia-smi says; take another with GPU=1, or GPU=cpu"
_LOST = "nvidia-smi and the kernel's log (dmesg, Xid) say more; run it again: it goes on from the latest whole snapshot"
_ONE = "give one id, GPU=0 say, or build Caffe with USE_NCCL=ON, as the Docker image does"

NEEDS_DRIVER = "this Caffe was built with CUDA: its data layers need an NVIDIA driver, even to train on the CPU"

# Words of CUDA's and cuBLAS's error strings, of Caffe's own checks and of PyTorch; the first that matches counts.
_TROUBLE: tuple[tuple[str, str, str], ...] = (
    # StartInternalThread asks CUDA for the current device whatever the mode is: no data layer without a driver
    (r"internal_thread\.cpp.*cudaSuccess", NEEDS_DRIVER, _NO_DRIVER),
    (r"out of memory|CUBLAS_STATUS_ALLOC_FAILED|OutOfMemoryError", "the GPU's memory is too small for this", _SMALLER),
    (
        r"no kernel image is available|invalid device function|CUBLAS_STATUS_ARCH_MISMATCH|no binary for GPU"
        r"|device kernel image is invalid",
        "the GPU is too new (or too old) for this Caffe",
        _TOO_NEW,
    ),
    (
        r"driver version is insufficient|PTX was compiled with an unsupported toolchain|unsupported display driver"
        r"|forward compatibility was attempted|NVIDIA driver on your system is too old",
        "NVIDIA's driver is missing or too old for this Caffe",
        _OLD_DRIVER + "\nin a container: was it started with --gpus all?",
    ),
    (
        r"no CUDA-capable device|initialization error|Found no NVIDIA driver|cannot open shared object file.*libcuda",
        "there is no GPU that CUDA can see",
        _NO_DRIVER,
    ),
    (
        r"Cannot use GPU in CPU-only Caffe",
        "this Caffe was built without CUDA, as Debian's is",
        "train on the CPU, GPU=cpu; for the GPU take the Docker image with CUDA, or ENGINE=torch",
    ),
    (
        r"invalid device ordinal",
        "there is no GPU of that id",
        "ids count from 0: nvidia-smi -L lists them; in a container only those that --gpus gave it",
    ),
    (r"Multi-GPU execution not available|trains on one GPU", "this Caffe trains on one GPU only", _ONE),
    (r"devices? (?:is|are) (?:busy|unavailable|in use)|busy or unavailable", "the GPU is taken", _BUSY),
    (
        r"ncclSuccess|ncclSystemError|unhandled (?:cuda|system) error",
        "the GPUs cannot talk to each other (NCCL)",
        "in a container give it shared memory, --ipc=host; NCCL_DEBUG=INFO says more; or take one: GPU=0",
    ),
    (
        r"illegal memory access|unspecified launch failure|uncorrectable ECC|launch timed out"
        r"|CUBLAS_STATUS_EXECUTION_FAILED|has fallen off the bus",
        "the GPU failed while it computed",
        _LOST,
    ),
    (
        r"cudaSuccess|CUBLAS_STATUS_|CURAND_STATUS_|cublas handle",
        "CUDA failed",
        "nvidia-smi must list the GPU; `make doctor` says whether a product on it is right; or use the CPU: GPU=cpu",
    ),
)


def explain(words: str) -> tuple[str, str] | None:
    """The cause and the way out behind an engine's words: (message, hint), or None if they tell of no GPU trouble.

    Args:
        words: the text of a failed check, ``Check failed: error == cudaSuccess (2 vs. 0)  out of memory`` say.
    """
    for pattern, cause, hint in _TROUBLE:
        if re.search(pattern, words, re.IGNORECASE):
            return cause, hint
    return None


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver sees it: memory in MiB, compute capability as ``9.0``."""

    index: int
    name: str
    memory_mib: int
    free_mib: int
    driver: str
    capability: str


def parse_smi(text: str) -> list[Gpu]:
    """What ``nvidia-smi --query-gpu=… --format=csv,noheader,nounits`` printed (:func:`driver_gpus`'s fields)."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) < 5 or not parts[0].isdigit():
            continue
        memory, free = (int(p) if p.isdigit() else 0 for p in parts[2:4])
        found.append(Gpu(int(parts[0]), parts[1], memory, free, parts[4], parts[5] if len(parts) > 5 else ""))
    return found


def run_program(
    command: list[str], timeout: int, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program; exit code 127 stands for one that cannot be started, 124 for one that runs over ``timeout`` s."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout, check=False, env=environment
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"{Path(command[0]).name}: no answer within {timeout} s")


def driver_gpus() -> list[Gpu]:
    """The GPUs that NVIDIA's driver lists; none where there is no driver or no ``nvidia-smi``."""
    fields = "index,name,memory.total,memory.free,driver_version"
    for query in (f"{fields},compute_cap", fields):  # drivers before 510 know no compute_cap
        done = run_program(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"], 30)
        if done.returncode == 0:
            return parse_smi(done.stdout)
    return []


def driver_is_loaded() -> bool:
    """Whether an NVIDIA driver shows its device node here."""
    return any(node.exists() for node in DEVICE_NODES)


def why_not(caffe_command: list[str], device: int = 0) -> str:
    """Why the engine cannot use GPU ``device``: the last of what ``caffe device_query`` says; empty if it can."""
    query = run_program([*caffe_command, "device_query", "-gpu", str(device)], 60)
    if query.returncode == 0:
        return ""
    lines = [line for line in (query.stderr + query.stdout).splitlines() if line.strip()]
    fatal = [line for line in lines if re.match(r"F\d{4} ", line)] or lines or [f"exit code {query.returncode}"]
    return fatal[-1 if fatal is lines else 0]


def choose(caffe_command: list[str], asked: str) -> str:
    """The value for ``caffe train -gpu``; an empty string means CPU.

    A GPU that is there but cannot be used by this engine is said to be, on standard error, where ``auto`` goes on
    without it.

    Args:
        caffe_command: the engine's ``caffe``.
        asked: ``auto``, ``cpu``, ``all``, or ids as ``0,1``.

    Raises:
        FoolCaffeError: ids were asked for, but there is no such GPU that this engine can use; or they are no ids.
    """
    if asked == "cpu":
        return ""
    ids = [] if asked in ("auto", "all") else asked.split(",")
    if not all(part.isascii() and part.isdigit() for part in ids):
        raise FoolCaffeError(f"--gpu {asked!r}: expected auto, cpu, all, or ids as 0,1")
    if len({int(part) for part in ids}) < len(ids):
        raise FoolCaffeError(f"--gpu {asked}: a GPU is named twice")
    if not driver_is_loaded():
        if asked == "auto":
            return ""
        raise FoolCaffeError(
            f"--gpu {asked}: no GPU that this Caffe can use: no NVIDIA driver here ({DEVICE_NODES[0]} is missing)",
            _NO_DRIVER,
        )
    for device in [int(part) for part in ids] or [0]:
        reason = why_not(caffe_command, device)
        if not reason:
            continue
        unknown = (f"Caffe cannot use it: {reason}", "`make doctor` says more; or use the CPU: GPU=cpu")
        cause, hint = explain(reason) or unknown
        if asked != "auto":
            raise FoolCaffeError(f"--gpu {asked}: GPU {device}: {cause}", hint)
        print(f"not on the GPU that is here: {cause}", file=sys.stderr)
        return ""
    return "0" if asked == "auto" else asked
