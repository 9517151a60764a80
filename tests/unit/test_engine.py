"""Which engine, and what is said where there is none."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from foolcaffe import engine
from foolcaffe.errors import FoolCaffeError
from helpers import ROOT, run


def python(code: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    base = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "python"), **environment}
    return subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, env=base, timeout=60)


def test_an_unknown_engine_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOLCAFFE_ENGINE", "cafe")
    with pytest.raises(FoolCaffeError, match=r"(?s)'cafe' is no engine.*caffe .*real Caffe.*torch .*torchcaffe"):
        engine.wanted()


@pytest.mark.usefixtures("real_caffe")
def test_real_caffe_is_named_once() -> None:
    done = python("from foolcaffe.engine import caffe; print(caffe.__version__, len(caffe.layer_type_list()))")
    assert done.stdout == "1.0.0 61\n"
    assert done.stderr.count("engine: caffe 1.0.0 (real Caffe") == 1


def test_torchcaffe_is_named_once(engine: str) -> None:
    if engine != "torch":
        pytest.skip("about torchcaffe; run in .venv/bin/python")
    code = "from foolcaffe.engine import caffe, name; print(caffe.__version__, name(), caffe.TEST)"
    done = python(code, FOOLCAFFE_ENGINE="torch")
    assert done.stdout == "1.0.0 torch 1\n"
    assert done.stderr.count("engine: torchcaffe 1.0.0 (PyTorch") == 1


@pytest.mark.skipif(importlib.util.find_spec("caffe") is not None, reason="this Python has real Caffe")
def test_without_the_engine_asked_for_it_is_said_how_to_get_it() -> None:
    code = "from foolcaffe.engine import load\nfrom foolcaffe.errors import FoolCaffeError\n"
    code += "try: load()\nexcept FoolCaffeError as e: print(e)"
    done = python(code, FOOLCAFFE_ENGINE="caffe")
    assert "real pycaffe cannot be imported" in done.stdout
    assert "make .caffe" in done.stdout
    assert done.stderr == ""


def test_importing_loads_no_engine() -> None:
    done = python("import foolcaffe.engine, sys; print([m for m in ('caffe', 'torch') if m in sys.modules])")
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_a_python_without_caffe_goes_on_in_the_one_that_has_it() -> None:
    """A bare Python, without site packages, runs the real command."""
    if engine.caffe_python() is None:
        pytest.skip("real Caffe is not installed in .caffe")
    base = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "python"), "FOOLCAFFE_ENGINE": "caffe"}
    command = [sys.executable, "-S", "-m", "foolcaffe.fool", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=base, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--confidence" in done.stdout


def test_a_ctrl_c_during_the_imports_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise KeyboardInterrupt")
    done = run("toy", PYTHONPATH=f"{tmp_path}:{ROOT / 'python'}")
    assert done.stderr == "interrupted\n"
    assert done.returncode != 0
    (tmp_path / "matplotlib.py").write_text("raise ZeroDivisionError")  # a bug is shown
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run("toy", PYTHONPATH=f"{tmp_path}:{ROOT / 'python'}")


def test_a_child_process_sees_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    environment = engine.child_environment(GLOG_minloglevel="2")
    code = "import caffefiles, foolcaffe, os, sys; "
    code += "print(foolcaffe.__file__, sys.path[2], os.environ['GLOG_minloglevel'])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    assert done.stdout.split() == [str(ROOT / "python" / "foolcaffe" / "__init__.py"), str(tmp_path), "2"]


def test_every_child_process_has_that_environment() -> None:
    """Nobody builds a child's environment by hand: the last one that did forgot PYTHONPATH."""
    by_hand = [p.name for p in (ROOT / "python" / "foolcaffe").rglob("*.py") if "{**os.environ" in p.read_text()]
    assert by_hand == ["engine.py"]
