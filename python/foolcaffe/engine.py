"""The engine behind Caffe's interface: real pycaffe, or torchcaffe. ``from foolcaffe.engine import caffe``.

``FOOLCAFFE_ENGINE=caffe|torch`` chooses. Unset, it is real Caffe where there is one, else torchcaffe. The engine in use
is printed once, on standard error; nothing falls back in silence.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from foolcaffe.errors import FoolCaffeError

ENGINES = ("caffe", "torch")
_CHECKOUT = Path(__file__).resolve().parents[2]
ROOT = _CHECKOUT if (_CHECKOUT / "tools" / "lib.sh").is_file() else Path.cwd()
"""The checkout; for an installed package the current folder, so that nothing is written beside the code."""
MODELS = Path(__file__).with_name("models")
"""The prototxts: in a checkout a link to ``models/``, in an installed package its own copy."""

_HOW_TO_GET = """engines, and how to get them:
  caffe  real Caffe: `make .caffe` (Debian's packages, no root), the Docker image, or your own build;
         its Python is .caffe/bin/python
  torch  torchcaffe on PyTorch: `make .venv ENGINE=torch`, or pip install torchcaffe
choose with FOOLCAFFE_ENGINE=caffe|torch, or ENGINE= for make"""

quiet = False
"""Set by ``--quiet``: the engine is not printed."""
_loaded: Any = None
_announced = False


def wanted() -> str:
    """The engine that the environment asks for: ``caffe``, ``torch``, or an empty string for the default.

    Raises:
        FoolCaffeError: ``FOOLCAFFE_ENGINE`` names no engine.
    """
    name = os.environ.get("FOOLCAFFE_ENGINE", "")
    if name and name not in ENGINES:
        raise FoolCaffeError(f"FOOLCAFFE_ENGINE={name!r} is no engine", _HOW_TO_GET)
    return name


def caffe_python() -> Path | None:
    """The Python that ``tools/install_caffe.sh`` installed real pycaffe for, or None."""
    python = ROOT / ".caffe" / "bin" / "python"
    return python if os.access(python, os.X_OK) else None


def enter() -> None:
    """Go on in the Python that has the engine: ``python -m foolcaffe.…`` begins with this, from any Python.

    Real pycaffe is built for one Python, ``.caffe/bin/python``. Where this Python cannot import it but that one is
    there, the process is replaced by it, with the same arguments. A Python that has torchcaffe's needs stays.
    """
    arguments = _own_arguments()
    python = caffe_python()
    asked = os.environ.get("FOOLCAFFE_ENGINE", "")  # run_cli reports an unknown name later
    if arguments is None or python is None or asked == "torch" or _has("caffe") or os.environ.get("FOOLCAFFE_ENTERED"):
        return
    part = arguments[0].partition(".")[2] or (arguments[1] if len(arguments) > 1 else "")
    if _has("numpy") and _has("skimage") and part.partition(".")[0] in NO_ENGINE:
        return
    if not asked and _has("torch") and _has("torchcaffe.pycaffe"):
        return
    os.execve(python, [str(python), "-m", *arguments], child_environment(FOOLCAFFE_ENTERED="1"))  # noqa: S606 - no shell


def child_environment(**changes: str) -> dict[str, str]:
    """Return the environment for a child process: this one's with ``changes``, and our packages on ``PYTHONPATH``."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, **changes}


NO_ENGINE = ("toy", "lists", "datasets", "lmdb", "classes", "models")
"""Parts that read and write no net: they stay in any Python that has their packages."""


def _own_arguments() -> list[str] | None:
    """``[module, argument, …]`` of ``python -m module argument …`` or of the script ``foolcaffe``, else None."""
    try:
        words = [os.fsdecode(w) for w in Path("/proc/self/cmdline").read_bytes().split(b"\0")[:-1]]
    except OSError:  # no /proc: not Linux, where real Caffe is not either
        return None
    for i, word in enumerate(words):
        if word == "-m" and words[i + 1 : i + 2] and words[i + 1].partition(".")[0] == "foolcaffe":
            return words[i + 1 :]
        if i and Path(word).name == "foolcaffe" and Path(word).is_file():
            return ["foolcaffe", *words[i + 1 :]]
    return None


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is missing
        return False


def name() -> str:
    """The engine in use, ``caffe`` or ``torch``; nothing is imported for it.

    Raises:
        FoolCaffeError: ``FOOLCAFFE_ENGINE`` names no engine.
    """
    return wanted() or ("caffe" if _has("caffe") else "torch")


def load() -> Any:
    """The engine's ``caffe`` module.

    Raises:
        FoolCaffeError: the engine asked for is not there; the message says which are and how to get them.
    """
    global _loaded
    if _loaded is None:
        _loaded = _import()
        announce()
    return _loaded


def _import() -> Any:
    module, title = ("caffe", "real pycaffe") if name() == "caffe" else ("torchcaffe.pycaffe", "torchcaffe")
    if module == "caffe":  # glog writes every layer of every net to standard error unless its level is set first
        os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise FoolCaffeError(f"{title} cannot be imported by {sys.executable}: {error}", _HOW_TO_GET) from None


def announce() -> None:
    """Print the engine in use on standard error: once a process, and not with :data:`quiet`.

    Raises:
        FoolCaffeError: as :func:`load`.
    """
    global _announced
    if not _announced:
        engine = version()
        if not quiet:
            print(f"engine: {engine}", file=sys.stderr)
        _announced = True


def version() -> str:
    """The engine in use and its version, for people; real Caffe is imported for it, PyTorch is not.

    Raises:
        FoolCaffeError: as :func:`load`.
    """
    if name() == "caffe":
        module = _loaded or _import()
        return f"caffe {module.__version__} (real Caffe, {Path(module.__file__ or '').parent})"
    try:
        return f"torchcaffe {importlib.import_module('torchcaffe').__version__} (PyTorch {metadata.version('torch')})"
    except (ImportError, metadata.PackageNotFoundError) as error:
        raise FoolCaffeError(f"torchcaffe cannot be imported by {sys.executable}: {error}", _HOW_TO_GET) from None


def command(tool: str) -> list[str]:
    """The command line of one of Caffe's programs: ``caffe``, ``convert_imageset`` or ``compute_image_mean``.

    Raises:
        FoolCaffeError: the engine is not there, or its program is not.
    """
    announce()
    if name() == "torch":
        return [sys.executable, "-m", f"torchcaffe.tools.{tool}"]
    ours = ROOT / ".caffe" / "bin" / tool
    path = str(ours) if os.access(ours, os.X_OK) else shutil.which(tool)
    if path is None:
        raise FoolCaffeError(f"pycaffe is there, but the program {tool} is not", _HOW_TO_GET)
    return [path]


class _Engine:
    """The engine's ``caffe`` module, loaded when first used: ``--help`` is quick and a missing engine a message."""

    def __getattr__(self, name: str) -> Any:
        return getattr(load(), name)


caffe: Any = _Engine()
