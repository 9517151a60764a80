"""A step's key changes with the code that it measures with and with nothing else: copies of the packages are edited."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from types import ModuleType

import pytest

from foolcaffe.study.closure import Closure, code_of
from foolcaffe.study.parts import PARTS
from helpers import ROOT

PARTS_FOLDER = "foolcaffe/study/parts"
MEASURES = {
    "accuracy": f"{PARTS_FOLDER}/accuracy.py",
    "speech": f"{PARTS_FOLDER}/speech.py",
    "dimension": f"{PARTS_FOLDER}/dimension.py",
    "camera": f"{PARTS_FOLDER}/camera.py",
    "transfer": f"{PARTS_FOLDER}/transfer.py",
    "mitigations": f"{PARTS_FOLDER}/mitigations/__init__.py",
    "difficulty": f"{PARTS_FOLDER}/difficulty.py",
    "background": f"{PARTS_FOLDER}/background.py",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in ("caffefiles", "foolcaffe"):
        shutil.copytree(ROOT / "python" / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture(scope="module")
def unchanged() -> dict[str, str]:
    return keys(ROOT / "python")


def edit(copy: Path, file: str, old: str, new: str) -> None:
    text = (copy / file).read_text()
    assert old in text, (file, old)
    (copy / file).write_text(text.replace(old, new))


def module(path: Path, name: str) -> ModuleType:
    """The module in a file; its functions know the file that they come from, which is all that is asked of them."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


def keys(copy: Path) -> dict[str, str]:
    """Each part's measuring code, in a copy of the packages."""
    return {part: code_of(module(copy / file, f"copy_{part}")._measure, copy) for part, file in MEASURES.items()}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ("foolcaffe/classifier.py | self.queries = 0 | self.queries = 1", set(MEASURES)),
        (
            "foolcaffe/evaluate.py | quiet: bool = False | quiet: bool = True",
            {"accuracy", "dimension", "difficulty", "background", "speech"},
        ),
        ("foolcaffe/study/lab.py | seed=seed, max_iter=self.scale.iterations | seed=seed, max_iter=1", set(MEASURES)),
        (
            "foolcaffe/study/common.py | rng.permutation(nets | np.arange(nets",
            {"dimension", "camera", "difficulty", "speech"},
        ),
        ("foolcaffe/study/common.py | base_lr=RATE * shrunk | base_lr=RATE", {"dimension", "background"}),
        ("foolcaffe/study/views.py | mean(axis=(2, 4)) | max(axis=(2, 4))", {"dimension", "background"}),
        (f"{PARTS_FOLDER}/speech.py | rng.integers(120, 200) | rng.integers(120, 220)", {"speech"}),
        ("foolcaffe/verify.py | return Verdict( | return None or Verdict(", {"difficulty"}),
        ("foolcaffe/attacks/square.py | steps: int = | steps: int = 1 +", {"transfer"}),
        ("caffefiles/datum.py | np.uint8) | np.int8)", set(MEASURES)),
        (f"{PARTS_FOLDER}/camera.py | QUALITY = 0.02 | QUALITY = 0.03", {"camera"}),
    ],
)
def test_a_key_follows_what_measures(unchanged: dict[str, str], copy: Path, change: str, changed: set[str]) -> None:
    edit(copy, *change.split(" | "))
    after = keys(copy)
    assert {part for part in MEASURES if unchanged[part] != after[part]} == changed


SILENT = [
    (f"{PARTS_FOLDER}/camera.py", "Which attacks survive the camera", "What survives"),
    (f"{PARTS_FOLDER}/dimension.py", "The exact least ε falls with the dimension", "It falls"),
    (f"{PARTS_FOLDER}/dimension.py", '"≤", 0.5)', '"≤", 0.4)'),
    ("foolcaffe/study/record.py", "Three significant digits", "3 digits"),
    ("foolcaffe/figures.py", "import", "import  # drawing\nimport json\nimport"),
    ("foolcaffe/classifier.py", "force_backward is not set", "it is not set"),
]
"""Titles, limits of claims, drawing, docstrings, texts of errors."""


def test_no_key_follows_prose_judging_and_drawing(unchanged: dict[str, str], copy: Path) -> None:
    for file, old, new in SILENT:
        edit(copy, file, old, new)
    assert keys(copy) == unchanged


def test_every_part_measures_by_steps_of_its_own_code() -> None:
    """The closure of a part's own functions leads into no other part, and not into the report."""
    for name, part in PARTS.items():
        closure = Closure()
        closure.follow(Path(part.run.__code__.co_filename), "run")
        files = {file for file, _ in closure.found}
        assert any(name in file for file in files)
        others = {f"{PARTS_FOLDER}/{other}" for other in PARTS if other != name}
        strange = {f for f in files if any(f.startswith(o) for o in others)}
        strange |= files & {f"foolcaffe/study/{n}.py" for n in ("report", "light", "runner", "__main__")}
        assert not strange, name


def decorated(function: Callable[[], int]) -> Callable[[], int]:
    @wraps(function)
    def wrapper() -> int:
        return function()

    return wrapper


@decorated
def measure() -> int:
    return helper()


def helper() -> int:
    return 1


class Holder:
    def method(self) -> int:
        return 1


def test_a_decorated_function_is_found() -> None:
    closure = Closure()
    closure.follow(Path(__file__), "measure")
    assert {"measure", "helper"} <= {name for _, name in closure.found}
    assert code_of(measure) == closure.hash() != code_of(helper)


@pytest.mark.parametrize("function", [lambda: helper(), decorated(lambda: 1), partial(helper), Holder().method])
def test_what_depends_on_values_around_it_has_no_key(function: Callable[[], int]) -> None:
    with pytest.raises(ValueError, match="not a function at the top level of a module"):
        code_of(function)
