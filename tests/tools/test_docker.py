"""The pins, the Dockerfiles that install them, tools/docker_check.sh's messages. That script builds the images."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from foolcaffe.doctor import PACKAGES
from helpers import ROOT, environment, fails, succeeds, tool

NEEDED = {
    "caffe": ["build", "caffefiles", "foolcaffe", "pycaffe", "hdf5", "test"],
    "venv": ["build", "caffefiles", "foolcaffe", "images", "hdf5", "test"],
    "lint": ["lint", "browser"],
    "leveldb": ["leveldb"],
    "torch": ["torchcaffe"],
    "nccl": ["nccl"],
}


def requirements(*names: str) -> list[Requirement]:
    lines = [line for name in names for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pins(name: str) -> dict[str, list[Requirement]]:
    """The pins of a file: by name, one a condition; each has hashes."""
    lines = (ROOT / "requirements" / "pins" / f"{name}.txt").read_text().splitlines()
    found: dict[str, list[Requirement]] = {}
    for pin in "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", "").splitlines():
        text, *hashes = pin.split(" --hash=")
        assert hashes, f"{name}: {text} has no hash"
        assert all(re.fullmatch("sha256:[0-9a-f]{64} *", one) for one in hashes), pin
        one = Requirement(text)
        assert [s.operator for s in one.specifier] == ["=="], text
        found.setdefault(canonicalize_name(one.name), []).append(one)
    return found


def test_every_file_of_pins_is_known() -> None:
    assert {path.stem for path in (ROOT / "requirements" / "pins").iterdir()} == set(NEEDED)
    listed = {path.stem for path in (ROOT / "requirements").glob("*.txt")} - {"distributions", "torch"}
    assert listed == {name for names in NEEDED.values() for name in names}


@pytest.mark.parametrize("name", NEEDED)
def test_what_the_project_needs_is_pinned(name: str) -> None:
    """What is added to requirements/ must be pinned: make pins."""
    pinned = pins(name)
    for requirement in requirements(*NEEDED[name]):
        found = pinned.get(canonicalize_name(requirement.name), [])
        assert found, f"requirements/pins/{name}.txt has no {requirement.name}: make pins"
        for one in found:
            (exact,) = one.specifier
            assert requirement.specifier.contains(exact.version), f"{name}: {requirement} is needed, {one} is pinned"


def test_one_pin_of_a_package_applies_whatever_the_python() -> None:
    """Of every package one pin applies, whatever the Python; no pin names the index that it came from."""
    for name in ("caffe", "venv"):
        for python in ("3.9", "3.10", "3.11", "3.12", "3.13"):
            for package, choices in pins(name).items():
                here = {"python_version": python, "python_full_version": f"{python}.1"}
                apply = [one for one in choices if one.marker is None or one.marker.evaluate(here)]
                assert len(apply) <= 1, (name, python, package)
    for path in (ROOT / "requirements" / "pins").iterdir():
        assert "://" not in path.read_text()
    for file in ("Dockerfile", "Dockerfile.torch", "tools/make_venv.sh", "tools/install_caffe.sh"):
        assert "--require-hashes" in (ROOT / file).read_text()


def test_the_doctor_looks_for_every_dependency() -> None:
    everywhere = [r for r in requirements("caffefiles", "foolcaffe") if r.marker is None]
    assert {canonicalize_name(r.name) for r in everywhere} == set(PACKAGES)


def argument(file: str, name: str) -> list[str]:
    return re.findall(rf"^ARG {name}=(.*)$", (ROOT / file).read_text(), re.MULTILINE)


def test_what_two_stages_name_is_the_same() -> None:
    for name in ("CAFFE", "CUDA_TOOLKIT"):
        values = argument("Dockerfile", name)
        assert len(values) == 2
        assert len(set(values)) == 1, values
    init = (ROOT / "python" / "caffefiles" / "__init__.py").read_text()
    version = re.findall(r'^__version__ = "(.*)"$', init, re.MULTILINE)
    assert {*argument("Dockerfile", "VERSION"), *argument("Dockerfile.torch", "VERSION")} == set(version)


def test_the_help_and_what_is_no_image() -> None:
    assert "cpu" in succeeds(tool("docker_check", "--help"))
    fails(tool("docker_check", "gpu"), "'gpu' is no image: cpu, cuda or torch", code=2)
    fails(tool("docker_check", BUILDER="kaniko"), "docker or buildah was expected", code=2)


def test_without_any_builder(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "basename", "env", "mktemp", "git"):
        found = subprocess.run(["bash", "-c", f"command -v {name}"], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            (tmp_path / name).symlink_to(found.stdout.strip())
    done = subprocess.run(
        [str(ROOT / "tools" / "docker_check.sh")],
        capture_output=True,
        text=True,
        env=environment(PATH=str(tmp_path)),
        timeout=60,
    )
    fails(done, "no buildah here, and no docker daemon", "apt install buildah debootstrap")
