"""Imports run one way, from the images towards the report."""

from __future__ import annotations

import ast
from pathlib import Path

from helpers import ROOT

PYTHON = ROOT / "python"
PACKAGES = ("caffefiles", "torchcaffe", "foolcaffe")
"""The nearest to the files first: a package imports only from itself and from those before it."""

# Nearest to the images first; a module of foolcaffe imports only from modules before it.
ORDER = [
    "errors",
    "locks",
    "options",
    "progress",
    "engine",
    "images",
    "classes",
    "datasets.download",
    "datasets.demo",
    "datasets.tiny_imagenet",
    "datasets",
    "datasets.__main__",
    "archives",
    "archives.sources",
    "archives.unpickle",
    "archives.batches",
    "archives.archives",
    "archives.locate",
    "datasets.devkit",
    "datasets.names",
    "datasets.labels",
    "lists",
    "lmdb",
    "lmdb.decode",
    "lmdb.plan",
    "lmdb.journal",
    "lmdb.mean",
    "lmdb.store",
    "lmdb.slots",
    "lmdb.verify",
    "lmdb.worker",
    "lmdb.pool",
    "lmdb.shard",
    "lmdb.merge",
    "lmdb.validate",
    "lmdb.road",
    "datasets.catalog",
    "lmdb.cli",
    "lmdb.__main__",
    "validate",
    "gpu",
    "render",
    "caffelog",
    "snapshots",
    "style",
    "lossplot",
    "train",
    "classifier",
    "trained",
    "attacks.base",
    "attacks.search",
    "attacks.ray",
    "attacks.radii",
    "attacks.linear",
    "attacks.newton",
    "attacks.problem",
    "attacks.dual",
    "attacks.whole",
    "attacks.linf",
    "attacks.blackbox",
    "attacks.gradient",
    "attacks.exact",
    "attacks.iterated",
    "attacks.lbfgs",
    "attacks.deepfool",
    "attacks.numeric",
    "attacks.nes",
    "attacks.local",
    "attacks.square",
    "attacks.visualise",
    "attacks.evolve",
    "attacks.pgd",
    "attacks",
    "attacks.universal",
    "attacks.direction",
    "attacks.batch",
    "verify",
    "starts",
    "difficulty",
    "initial",
    "evaluate",
    "figures",
    "animation",
    "templates",
    "toy",
    "fooling",
    "fool",
    "explore",
    "explore.weights",
    "explore.models",
    "explore.pictures",
    "explore.page",
    "explore.serve",
    "explore.__main__",
    "doctor",
    "listing",
    "photos",
    "study",
    "study.record",
    "study.scale",
    "study.closure",
    "study.views",
    "study.lab",
    "study.common",
    "study.runner",
    "study.parts.hyperparameters",
    "study.parts.accuracy",
    "study.parts.difficulty",
    "study.parts.figures",
    "study.parts.dimension",
    "study.parts.directions",
    "study.parts.camera",
    "study.parts.mitigations.defences",
    "study.parts.mitigations.letters",
    "study.parts.mitigations.nonlinear",
    "study.parts.mitigations",
    "study.parts.background",
    "study.parts.transfer",
    "study.parts.speech",
    "study.parts",
    "study.report",
    "study.light",
    "study.__main__",
    "__main__",
]


def modules() -> dict[str, Path]:
    """Dotted name → file, of all modules of the three packages."""
    found = {}
    for package in PACKAGES:
        for path in (PYTHON / package).rglob("*.py"):
            parts = path.relative_to(PYTHON).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(module: str) -> set[str]:
    """The modules of ours that a module imports when it is imported, and those that its functions import.

    What only type checkers read does not count.
    """
    tree = ast.parse(MODULES[module].read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            names = [f"{node.module}.{a.name}" for a in node.names]
            found |= {n if n in MODULES else str(node.module) for n in names}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
    return found & set(MODULES)


def test_every_module_of_foolcaffe_has_its_place() -> None:
    assert {m.removeprefix("foolcaffe.") for m in MODULES if m.startswith("foolcaffe.")} == set(ORDER)


def test_imports_of_foolcaffe_run_one_way() -> None:
    for place, name in enumerate(ORDER):
        inside = {i.removeprefix("foolcaffe.") for i in imports(f"foolcaffe.{name}") if i.startswith("foolcaffe.")}
        later = {i for i in inside if ORDER.index(i) >= place}
        assert not later, f"{name} imports {later}, which come after it"


def test_a_package_imports_nothing_from_the_packages_above_it() -> None:
    for module in MODULES:
        place = PACKAGES.index(module.split(".")[0])
        above = {i for i in imports(module) if PACKAGES.index(i.split(".")[0]) > place}
        assert not above, f"{module} imports {above}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = {module: imports(module) for module in MODULES}
    while leaves := {module for module, targets in arrows.items() if not targets & set(arrows)}:
        arrows = {module: targets for module, targets in arrows.items() if module not in leaves}
    while roots := set(arrows) - {target for targets in arrows.values() for target in targets}:
        arrows = {module: targets for module, targets in arrows.items() if module not in roots}
    assert not arrows, f"in a circle, or between two: {sorted(arrows)}"


def test_foolcaffe_and_torchcaffe_know_each_other_through_the_engine_only() -> None:
    for path in (PYTHON / "foolcaffe").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] in ("caffe", "torchcaffe", "torch")], path


def test_every_decision_is_in_the_index_by_its_title() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    pages = sorted(folder.glob("[!R]*.md"))
    assert pages
    for page in pages:
        assert f"[{page.read_text().splitlines()[0][2:]}]({page.name})" in index, page.name
