"""Python: a layer that the user writes in Python."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import Any, Callable

from caffefiles.errors import nearest
from torchcaffe import common, views
from torchcaffe.layers.base import Blobs, Flags, Layer

if sys.version_info >= (3, 11):

    def _note(error: BaseException, text: str) -> None:
        if text not in getattr(error, "__notes__", ()):
            error.add_note(text)
else:

    def _note(error: BaseException, text: str) -> None:
        """Notes on exceptions came with Python 3.11."""


install: Callable[[], None] | None = None
"""Called before the user's module is imported, unless a caffe has been imported already. pycaffe and the programs set
it to :func:`torchcaffe.install`, so that ``import caffe`` in that module means torchcaffe; a net alone leaves it."""


class Python(Layer):
    """A ``python_param.layer`` (class, derived from ``caffe.Layer``) of ``python_param.module``.

    The class's ``setup``, ``reshape``, ``forward`` and ``backward`` are called with lists of Blobs; it finds its
    ``param_str`` and ``phase``. Its exceptions go through, with their traceback. ``import caffe`` in the module means
    torchcaffe, unless another caffe was imported before.
    """

    instance: Any = None
    """The user's object."""
    min_num_bottom = 0

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Import the module, make the object, call its setup.

        Raises:
            CaffeError: the module cannot be found, or has no such class.
        """
        param = self.param.python_param
        if common.solver_count() > 1 and param.share_in_parallel:
            raise self.fail(
                "share_in_parallel is not supported with several solvers", "they are processes of their own"
            )
        if install is not None and "caffe" not in sys.modules:
            install()
        cls = self._class(param.module, param.layer)
        if not (isinstance(cls, type) and issubclass(cls, views.Layer)):
            raise self.fail(
                f"{param.module}.{param.layer} is no class derived from this engine's caffe.Layer",
                "real Caffe was imported in this process? torchcaffe.install() must come before `import caffe`",
            )
        with self._located("setup"):
            self.instance = cls(self)
            self.instance.param_str, self.instance.phase = param.param_str, self.phase
            self.instance.setup(_views(bottom), _views(top))

    def _class(self, module: str, name: str) -> Any:
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
                raise  # the module is there, what it imports is not
            raise self.fail(
                f"there is no Python module {module!r}",
                f"its folder must be in PYTHONPATH or sys.path: {', '.join(p or '.' for p in sys.path)}",
            ) from None
        except ValueError as error:
            raise self.fail(f"{module!r} is no Python module's name: {error}") from None
        if not hasattr(found, name):
            raise self.fail(
                f"the module {module!r} ({getattr(found, '__file__', None)}) has no class {name!r}",
                nearest(name, [n for n, v in vars(found).items() if isinstance(v, type)]),
            )
        return getattr(found, name)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        with self._located("reshape"):
            self.instance.reshape(_views(bottom), _views(top))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self._located("forward"):
            self.instance.forward(_views(bottom), _views(top))

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        with self._located("backward"):
            self.instance.backward(_views(top), list(propagate_down), _views(bottom))

    @contextmanager
    def _located(self, what: str) -> Any:
        try:
            yield
        except Exception as error:
            param = self.param.python_param
            _note(error, f"in {what} of layer {self.name!r} (Python: {param.module}.{param.layer})")
            raise


def _views(blobs: Blobs) -> list[Any]:
    return [views.Blob(blob) for blob in blobs]
