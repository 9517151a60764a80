"""Which files a module's results come from: itself, and what it imports of the study and of the attacks."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
MEASURING = ("study", "attacks")
"""The sub-packages that are followed. What reads, trains and scores is judged by its own tests, and changes a result
only where it was wrong."""


def sources_of(module: Path) -> list[Path]:
    """``module`` and every file of :data:`MEASURING` that it imports, directly or through others; sorted, it first.

    Args:
        module: a Python file, of this package or not.
    """
    found, left = [module], [module]
    while left:
        for file in _imported(left.pop()):
            if file not in found:
                found.append(file)
                left.append(file)
    return [module, *sorted(found[1:])]


def _imported(module: Path) -> list[Path]:
    names = []
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [file for name in names for file in _file(name)]


def _file(name: str) -> list[Path]:
    package, *inner = name.split(".")
    if package != PACKAGE.name or not inner or inner[0] not in MEASURING:
        return []
    path = PACKAGE.joinpath(*inner)
    return [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
