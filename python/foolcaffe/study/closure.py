"""Which code a function's result comes from: its own definition, and all of this project's that it uses.

The unit is a top-level definition of a module (a function, a class, a constant), found by names in the syntax tree.
What only draws or tells people something does not count:
docstrings, comments, layout, the text of errors, progress, the modules in :data:`SHOWING`. What is chosen while the
program runs (the engine, an entry of a registry) is not seen; the part names it, or the inputs of the step do.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("caffefiles", "foolcaffe")
SHOWING = ("foolcaffe.figures", "foolcaffe.lossplot", "foolcaffe.progress", "foolcaffe.style")
"""Modules that draw or report."""


class Module:
    """A module's definitions and imports, read from its file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text("utf-8"))
        self.definitions: dict[str, list[ast.AST]] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        """Name → (module, the name there; empty for the module itself)."""
        for statement in self.tree.body:
            for name in _defined(statement):
                self.definitions.setdefault(name, []).append(statement)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (node.module, alias.name)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.imports[alias.asname or alias.name.partition(".")[0]] = (alias.name, "")


class Closure:
    """Follows definitions through modules; what was found is in ``found``: (file, name) → its statements.

    Args:
        root: the folder that holds the packages.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._modules: dict[Path, Module] = {}
        self.found: dict[tuple[str, str], list[ast.AST]] = {}

    def follow(self, file: Path, name: str) -> None:
        """Add a top-level definition of a file, and all that it uses.

        Raises:
            KeyError: the file has no such definition at its top level.
        """
        module = self._module(file)
        self._add(module, name, module.definitions[name])

    def hash(self) -> str:
        """SHA-256 of what was found."""
        digest = hashlib.sha256()
        for (file, name), nodes in sorted(self.found.items()):
            digest.update(f"{file}:{name}\n".encode())
            for node in nodes:
                digest.update(ast.dump(_plain(node)).encode())
        return digest.hexdigest()

    def _module(self, path: Path) -> Module:
        if path not in self._modules:
            self._modules[path] = Module(path)
        return self._modules[path]

    def _file(self, name: str) -> Path | None:
        """The file of a module of ours, or None."""
        parts = name.split(".")
        if parts[0] not in PACKAGES or name in SHOWING:
            return None
        path = self._root.joinpath(*parts)
        return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)

    def _add(self, module: Module, name: str, nodes: list[ast.AST]) -> None:
        inside = module.path.is_relative_to(self._root)
        key = (module.path.relative_to(self._root).as_posix() if inside else module.path.name, name)
        if key in self.found:
            return
        self.found[key] = nodes
        for node in nodes:
            for used in _used(node):
                self._name(module, *used)

    def _name(self, module: Module, name: str, attribute: str = "") -> None:
        """Follow a name that a definition uses, and the attribute that is taken of it, if it is a module."""
        if name in module.definitions:
            self._add(module, name, module.definitions[name])
        elif name in module.imports:
            source, there = module.imports[name]
            file = self._file(f"{source}.{there}" if there else source)
            if file is not None:  # a module: what counts is what is taken from it
                if attribute:
                    self._name(self._module(file), attribute)
            elif there and (file := self._file(source)) is not None:
                self._name(self._module(file), there)


def code_of(function: Callable[..., Any], root: Path = ROOT) -> str:
    """Return the SHA-256 of the code that a function's result comes from.

    Args:
        function: defined at the top level of a module.
        root: the folder that holds the packages.

    Raises:
        ValueError: it is nested, a lambda, a method or a partial. Its result would depend on values that no code of
            its own shows, and a change of what computes them would go unnoticed.
    """
    bare = inspect.unwrap(function)
    name = getattr(bare, "__qualname__", repr(function))
    if not name.isidentifier():
        raise ValueError(f"{name} is not a function at the top level of a module: move there what it computes")
    return _hash_of(Path(bare.__code__.co_filename), name, root)


@functools.cache
def _hash_of(file: Path, name: str, root: Path) -> str:
    closure = Closure(root)
    closure.follow(file, name)
    return closure.hash()


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (t.id for target in targets for t in ast.walk(target) if isinstance(t, ast.Name))
    elif isinstance(node, (ast.If, ast.Try, ast.With)):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from _defined(child)


def _used(node: ast.AST) -> Iterator[tuple[str, ...]]:
    for child in ast.walk(node):
        if isinstance(child, ast.Attribute) and isinstance(child.value, ast.Name):
            yield child.value.id, child.attr
        elif isinstance(child, ast.Name):
            yield (child.id,)


def _plain(node: ast.AST) -> ast.AST:
    """A copy of the node without docstrings, without what is printed, and without what errors say."""

    class Plain(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> Any:
            value = node.value
            if isinstance(value, ast.Call):
                called = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
                return ast.Pass() if called in ("say", "print") else node
            return ast.Pass() if isinstance(value, ast.Constant) else node

        def visit_Raise(self, node: ast.Raise) -> Any:
            return ast.Raise(None, None)

    plain: ast.AST = Plain().visit(ast.parse(ast.unparse(node)))
    return plain
