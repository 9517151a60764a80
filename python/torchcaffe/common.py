"""What Caffe keeps for the whole process: CPU or GPU, which one, the random generator, the solver's place."""

from __future__ import annotations

import torch

from caffefiles.errors import CaffeError
from torchcaffe.rng import Generator

_ACCELERATORS = ("cuda", "xpu", "mps")


class _State:
    gpu = False
    device_id = 0
    generator: Generator | None = None
    solver_count = 1
    solver_rank = 0


_state = _State()


def set_mode_cpu() -> None:
    """Nets made or run from now on compute on the CPU."""
    _state.gpu = False


def set_mode_gpu() -> None:
    """Nets made or run from now on compute on the GPU of :func:`set_device` (0).

    Raises:
        CaffeError: PyTorch sees no GPU.
    """
    if accelerator() == "cuda":  # float32 means float32, unless a precision is asked for
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    _state.gpu = True


def set_device(device_id: int) -> None:
    """Which GPU the GPU mode means, counted from 0.

    Raises:
        CaffeError: there is no such GPU.
    """
    kind = accelerator()
    count = int(getattr(torch, kind).device_count())
    if not 0 <= device_id < count:
        raise CaffeError(f"there is no GPU {device_id}: PyTorch sees {count} ({kind})", "they count from 0")
    _state.device_id = device_id


def accelerator() -> str:
    """PyTorch's name for the kind of GPU that this machine has.

    Raises:
        CaffeError: it has none.
    """
    for kind in _ACCELERATORS:
        module = getattr(torch, kind, None)
        if module is not None and module.is_available():
            return kind
    raise CaffeError("PyTorch sees no GPU on this machine", "use the CPU mode, or install a PyTorch built for the GPU")


def device() -> torch.device:
    """The device of the present mode."""
    return torch.device(accelerator(), _state.device_id) if _state.gpu else torch.device("cpu")


def set_random_seed(seed: int) -> None:
    """Start the random numbers anew: the same seed gives real Caffe's fillers and data order.

    On a GPU masks of Dropout begin anew too, and cuDNN takes kernels that give the same sums every time, so that a
    training can be repeated to the bit; ``torch.backends.cudnn.deterministic = False`` afterwards undoes the latter.
    """
    _state.generator = Generator(seed)
    torch.cuda.manual_seed_all(seed)  # kept until there is a GPU; nothing without one
    torch.backends.cudnn.deterministic = True


def generator() -> Generator:
    """The process's random generator; seeded by the operating system unless :func:`set_random_seed` was called."""
    if _state.generator is None:
        _state.generator = Generator()
    return _state.generator


def solver_count() -> int:
    """How many solvers share the work (data layers skip the others' records)."""
    return _state.solver_count


def set_solver_count(count: int) -> None:
    """Set :func:`solver_count`."""
    _state.solver_count = count


def solver_rank() -> int:
    """This process's place among the solvers; 0 is the root, which displays and snapshots."""
    return _state.solver_rank


def set_solver_rank(rank: int) -> None:
    """Set :func:`solver_rank`."""
    _state.solver_rank = rank
