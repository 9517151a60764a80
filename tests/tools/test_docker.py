"""The Dockerfiles' pins, and tools/docker_check.sh's messages; the images themselves are built by that script."""

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
    "constraints.txt": ["caffefiles", "foolcaffe", "pycaffe", "hdf5", "test"],
    "constraints-torch.txt": ["caffefiles", "foolcaffe", "torchcaffe", "hdf5", "test"],
}


def requirements(*names: str) -> list[Requirement]:
    lines = [line for name in names for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pins(name: str) -> dict[str, str]:
    lines = [line.strip() for line in (ROOT / "docker" / name).read_text().splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line) for line in lines)
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}


@pytest.mark.parametrize("name", NEEDED)
def test_the_images_pin_what_the_project_needs(name: str) -> None:
    """A dependency that is added to requirements/ must be added to the images' pins."""
    pinned = pins(name)
    file = "Dockerfile"
    if name == "constraints-torch.txt":
        file = "Dockerfile.torch"
        pinned["torch"] = argument(file, "TORCH")[0]
    installed = re.findall(r"-r (?:/tmp/)?requirements/(\w+)\.txt", (ROOT / file).read_text())
    assert sorted(installed) == sorted(NEEDED[name])
    for requirement in requirements(*NEEDED[name]):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"docker/{name} has no {requirement.name}"
        assert requirement.specifier.contains(version), f"docker/{name}: {requirement} is needed, {version} is pinned"


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
