"""The Dockerfiles' pins, and tools/docker_check.sh's messages; the images themselves are built by that script."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from foolcaffe.doctor import PACKAGES
from helpers import ROOT, environment, fails, succeeds, tool

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILES = {"requirements.txt": ["test"], "requirements-torch.txt": ["test", "torch"]}


def pins(name: str) -> dict[str, str]:
    lines = [line.strip() for line in (ROOT / "docker" / name).read_text().splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line) for line in lines)
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}


@pytest.mark.parametrize("name", FILES)
def test_the_images_have_what_the_project_needs(name: str) -> None:
    """A dependency that is added to pyproject must be added to the image's pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *(r for e in FILES[name] for r in project["optional-dependencies"][e])]
    pinned = pins(name)
    if name == "requirements-torch.txt":
        pinned["torch"] = argument("Dockerfile.torch", "TORCH")[0]
    else:
        needed += ["numpy<2", "protobuf<3.21", "pyparsing<3.3", "six"]  # real pycaffe's own (tools/install_caffe.sh)
    for requirement in map(Requirement, needed):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"docker/{name} has no {requirement.name}"
        assert requirement.specifier.contains(version), f"docker/{name}: {requirement} is needed, {version} is pinned"


def test_the_doctor_looks_for_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    everywhere = [r for r in map(Requirement, project["dependencies"]) if r.marker is None]
    assert {canonicalize_name(r.name) for r in everywhere} == set(PACKAGES)


def argument(file: str, name: str) -> list[str]:
    return re.findall(rf"^ARG {name}=(.*)$", (ROOT / file).read_text(), re.MULTILINE)


def test_what_two_stages_name_is_the_same() -> None:
    for name in ("CAFFE", "CUDA_TOOLKIT"):
        values = argument("Dockerfile", name)
        assert len(values) == 2
        assert len(set(values)) == 1, values
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {*argument("Dockerfile", "VERSION"), *argument("Dockerfile.torch", "VERSION")} == {project["version"]}


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
