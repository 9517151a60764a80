"""Imports run one way, from the images towards the report."""

from __future__ import annotations

import ast
from pathlib import Path

from helpers import ROOT

PACKAGE = ROOT / "python" / "foolcaffe"

# Nearest to the images first; a module imports only from modules before it.
ORDER = [
    "errors",
    "files",
    "progress",
    "engine",
    "images",
    "classes",
    "datasets.download",
    "datasets.demo",
    "datasets.tiny_imagenet",
    "datasets",
    "datasets.__main__",
    "lmdb",
    "lmdb.datum",
    "lmdb.listfile",
    "lists",
    "lmdb.sources",
    "lmdb.decode",
    "lmdb.unpickle",
    "lmdb.batches",
    "lmdb.archives",
    "lmdb.locate",
    "lmdb.plan",
    "lmdb.journal",
    "lmdb.locks",
    "lmdb.reader",
    "lmdb.mean",
    "lmdb.store",
    "lmdb.verify",
    "lmdb.slots",
    "lmdb.worker",
    "lmdb.pool",
    "lmdb.shard",
    "lmdb.merge",
    "lmdb.validate",
    "lmdb.road",
    "lmdb.devkit",
    "lmdb.names",
    "lmdb.labels",
    "lmdb.catalog",
    "lmdb.cli",
    "lmdb.__main__",
    "datums",
    "protos",
    "mean",
    "validate",
    "gpu",
    "render",
    "caffelog",
    "snapshots",
    "style",
    "lossplot",
    "train",
    "net",
    "models",
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
    "attacks.sign",
    "attacks.exact",
    "attacks.iterated",
    "attacks.lbfgs",
    "attacks.deepfool",
    "attacks.numeric",
    "attacks.nes",
    "attacks.spsa",
    "attacks.local",
    "attacks.square",
    "attacks.visualise",
    "attacks.evolve",
    "attacks",
    "attacks.universal",
    "attacks.direction",
    "attacks.batch",
    "verify",
    "starts",
    "difficulty",
    "evaluate",
    "figures",
    "templates",
    "toy",
    "fooling",
    "fool",
    "doctor",
    "study",
    "study.record",
    "study.scale",
    "study.views",
    "study.lab",
    "study.common",
    "study.sources",
    "study.runner",
    "study.defences",
    "study.climb",
    "study.letters",
    "study.robust",
    "study.parts.hyperparameters",
    "study.parts.accuracy",
    "study.parts.difficulty",
    "study.parts.figures",
    "study.parts.dimension",
    "study.parts.directions",
    "study.parts.camera",
    "study.parts.mitigations",
    "study.parts.background",
    "study.parts.transfer",
    "study.parts.speech",
    "study.parts",
    "study.report",
    "study.light",
    "study.__main__",
]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "foolcaffe":
            tail = node.module.removeprefix("foolcaffe").lstrip(".")
            names = [f"{tail}.{a.name}".lstrip(".") for a in node.names]
            found |= {n if n in ORDER else tail for n in names}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("foolcaffe.") for a in node.names if a.name.startswith("foolcaffe.")}
    return found


def test_every_module_has_its_place() -> None:
    modules = {module_of(p) for p in PACKAGE.rglob("*.py")} - {""}
    assert modules == set(ORDER)


def test_imports_run_one_way() -> None:
    for path in PACKAGE.rglob("*.py"):
        module = module_of(path)
        if module:
            later = {i for i in imports(path) if ORDER.index(i) >= ORDER.index(module)}
            assert not later, f"{module} imports {later}, which come after it"


def test_foolcaffe_and_torchcaffe_know_each_other_through_the_engine_only() -> None:
    for path in PACKAGE.rglob("*.py"):
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
