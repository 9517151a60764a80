"""The installation of both environments: what is installed, and what is said where it cannot be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT, environment, fails, succeeds, tool

CAFFE = ROOT / ".caffe"
DEBIAN = CAFFE.is_dir() and "Debian" in (CAFFE / "SOURCE").read_text()

pytestmark = pytest.mark.usefixtures("real_caffe")  # in one Python: the script is the same
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt here")


@pytest.mark.skipif(not DEBIAN, reason="real Caffe is not installed from Debian's packages")
def test_the_programs_run_and_pass_nothing_on_to_their_children() -> None:
    for name in ("caffe", "convert_imageset", "compute_image_mean", "python"):
        assert os.access(CAFFE / "bin" / name, os.X_OK)
    code = "import caffe, os, sys; print(caffe.__version__, 'LD_LIBRARY_PATH' in os.environ, sys.executable)"
    base = {"PATH": "/usr/bin:/bin"}
    python = str(CAFFE / "bin" / "python")
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=base, check=True)
    assert done.stdout == f"1.0.0 False {python}\n"


@pytest.mark.slow
@pytest.mark.skipif(not DEBIAN, reason="real Caffe is not installed from Debian's packages")
def test_the_folder_can_be_moved(tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(CAFFE.resolve(), moved, symlinks=True)
    base = {"PATH": "/usr/bin:/bin"}
    code = "import caffe, skimage; print(caffe.__file__)"
    done = subprocess.run(
        [str(moved / "bin" / "python"), "-c", code], capture_output=True, text=True, env=base, check=True
    )
    assert done.stdout.startswith(str(moved))
    done = subprocess.run(
        [str(moved / "bin" / "caffe"), "--version"], capture_output=True, text=True, env=base, check=True
    )
    assert done.stdout == "caffe version 1.0.0\n"


def test_what_works_is_left_as_it_is() -> None:
    if not CAFFE.is_dir():
        pytest.skip("real Caffe is not installed")
    before = CAFFE.resolve().stat().st_mtime_ns
    assert "is there and works" in (done := tool("install_caffe")).stderr, done.stderr
    assert CAFFE.resolve().stat().st_mtime_ns == before


@needs_apt
def test_no_network(tmp_path: Path) -> None:
    done = tool("install_caffe", "--debian", "--prefix", tmp_path / "c", DEBIAN_MIRROR="http://127.0.0.1:9/debian")
    fails(done, "no network", "DEBIAN_MIRROR", "Docker", "ENGINE=torch")
    assert not (tmp_path / "c").exists()


@needs_apt
def test_a_mirror_without_bullseye(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    done = tool("install_caffe", "--debian", "--prefix", tmp_path / "c", DEBIAN_MIRROR=f"file:{tmp_path}/mirror")
    fails(done, "does not carry Debian bullseye", "DEBIAN_MIRROR", "ENGINE=torch")
    assert not (tmp_path / "c").exists()


@needs_apt
def test_no_keys(tmp_path: Path) -> None:
    done = tool("install_caffe", "--debian", "--prefix", tmp_path / "c", DEBIAN_KEYRING="/no/such.gpg")
    fails(done, "signing keys are not at /no/such.gpg", "debian-archive-keyring")


def test_no_apt(tmp_path: Path) -> None:
    """A PATH with everything that the script needs but apt."""
    for name in ("bash", "dirname", "basename", "mkdir", "cat", "head", "df", "awk", "rm", "flock", "env"):
        (tmp_path / name).symlink_to(shutil.which(name))  # type: ignore[arg-type]
    done = tool("install_caffe", "--debian", "--prefix", tmp_path / "c", PATH=str(tmp_path))
    fails(done, "no apt-get here", "Docker", "ENGINE=torch")


@needs_apt
def test_no_space(tmp_path: Path) -> None:
    """A df that reports a nearly full disk stands in for one: none can be made without root."""
    (tmp_path / "df").write_text("#!/bin/sh\nprintf 'h\\n/dev/x 10 9 2048 99%% /\\n'\n")
    (tmp_path / "df").chmod(0o755)
    done = tool("install_caffe", "--debian", "--prefix", tmp_path / "c", PATH=f"{tmp_path}:{os.environ['PATH']}")
    fails(done, "not enough space", "2 MiB free", "1500 MiB needed")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    fails(tool("install_caffe", "--prefix", tmp_path / "file" / "c"), "cannot write to")


@pytest.mark.usefixtures("real_caffe")
def test_a_caffe_that_the_system_has_is_used_as_it_is(tmp_path: Path) -> None:
    """The real Caffe of .caffe, found on the PATH as a system's would be."""
    system = tmp_path / "system"
    system.mkdir()
    for name in ("caffe", "convert_imageset", "compute_image_mean"):
        (system / name).symlink_to(CAFFE / "bin" / name)
    (system / "python3").symlink_to(CAFFE / "bin" / "python")
    done = tool("install_caffe", "--prefix", tmp_path / "c", PATH=f"{system}:{os.environ['PATH']}")
    succeeds(done)
    assert "using the system's Caffe" in done.stderr
    assert (tmp_path / "c" / "SOURCE").read_text() == f"system: {system}/caffe\n"
    done = subprocess.run(
        [str(tmp_path / "c/bin/python"), "-c", "import caffe; print(caffe.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1.0.0\n"


def make_venv(checkout: Path, **changes: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """``tools/make_venv.sh`` with a Python that installs nothing: what it said, and what pip was asked for."""
    shutil.copytree(ROOT / "tools", checkout / "tools")
    shutil.copytree(ROOT / "requirements", checkout / "requirements")
    (checkout / ".venv" / "bin").mkdir(parents=True)
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(
        """#!/bin/sh
case "$*" in *"pip install"*) echo "$@" >> "$LOG" ;; *torch.version*) echo "2.13.0 $BUILD" ;; esac
case "$*" in *"$REFUSED"*) echo "ERROR: no such file"; exit 1 ;; esac
"""
    )
    python.chmod(0o755)
    log = checkout / "log"
    base = environment(
        BASE_PYTHON=sys.executable, LOG=str(log), **{"REFUSED": "nothing", "BUILD": "for the CPU", **changes}
    )
    command = [str(checkout / "tools" / "make_venv.sh")]
    done = subprocess.run(command, capture_output=True, text=True, env=base, timeout=60)
    return done, log.read_text().splitlines() if log.exists() else []


def test_what_is_pinned_is_installed_with_its_hashes(tmp_path: Path) -> None:
    done, asked = make_venv(tmp_path)
    succeeds(done)
    assert [line.partition("-version-check ")[2] for line in asked] == [
        "-r requirements/torchcaffe.txt",
        "--require-hashes -r requirements/pins/venv.txt -r requirements/pins/lint.txt",
        "--no-deps --no-build-isolation -e packaging/caffefiles -e packaging/torchcaffe -e packaging/foolcaffe",
        "--require-hashes --only-binary plyvel -r requirements/pins/leveldb.txt",
    ]
    assert (tmp_path / ".venv" / "READY").exists()


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"TORCH": "cpu", "TORCH_INDEX": "file:/no/such"}, "--index-url file:/no/such -r requirements/torchcaffe.txt"),
        ({"TORCH": "2.9.1"}, "torch==2.9.1"),
        ({"PINS": "no"}, "packaging/foolcaffe[torch,test,lint,browser]"),
    ],
)
def test_pytorch_and_unpinned_packages_as_asked(tmp_path: Path, given: dict[str, str], asked: str) -> None:
    done, lines = make_venv(tmp_path, **given)
    succeeds(done)
    assert any(line.endswith(asked) for line in lines), lines


def test_without_a_build_for_the_cpu(tmp_path: Path) -> None:
    if os.uname().sysname + os.uname().machine == "Linuxx86_64":
        done, _ = make_venv(tmp_path / "a", TORCH="cpu", REFUSED="+cpu")
        fails(done, "could not install PyTorch (torch==", "+cpu", "TORCH_INDEX")
        assert not (tmp_path / "a" / ".venv" / "READY").exists()
    done, _ = make_venv(tmp_path / "b", TORCH="cpu", BUILD="with CUDA 13.0")
    fails(done, "TORCH=cpu was asked for", "with CUDA 13.0", "remove .venv")
    done, _ = make_venv(tmp_path / "c", REFUSED="--require-hashes -r")
    fails(done, "could not install the packages of requirements/pins", "PINS=no")
    done, _ = make_venv(tmp_path / "d", PINS="some")
    fails(done, "yes or no was expected", code=2)
