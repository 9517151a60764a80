"""Blob, BlobVec and Layer as Caffe's Python module has them: NumPy views of a net's blobs and layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from torchcaffe import blob as core


class Blob:
    """A net's array and its gradient.

    ``data`` and ``diff`` are live: writing into them (``blob.data[...] = x``) reaches the net, whose results appear in
    them. A growing reshape, or a data layer's next batch, ends an earlier view. On a GPU a view is live until the net
    is run next.

    Args:
        blob: the core blob that is shown.
    """

    __slots__ = ("_blob",)

    def __init__(self, blob: core.Blob) -> None:
        self._blob = blob

    @property
    def data(self) -> NDArray[Any]:
        """The values, of the blob's shape."""
        return self._blob.array

    @property
    def diff(self) -> NDArray[Any]:
        """The gradient, of the blob's shape."""
        return self._blob.diff_array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self._blob.shape

    @property
    def count(self) -> int:
        """The number of elements."""
        return self._blob.count

    num = property(lambda self: self._blob.num, doc="The first of at most four axes.")
    channels = property(lambda self: self._blob.channels, doc="The second of at most four axes.")
    height = property(lambda self: self._blob.height, doc="The third of at most four axes.")
    width = property(lambda self: self._blob.width, doc="The fourth of at most four axes.")

    def reshape(self, *shape: int) -> None:
        """Change the shape; values are kept where memory need not grow.

        Raises:
            CaffeError: no blob can have that shape.
        """
        self._blob.reshape(*shape)

    def __repr__(self) -> str:
        return f"Blob{self.shape}"


class BlobVec(Sequence[Blob]):
    """The blobs of a layer, in order.

    Args:
        blobs: the layer's own list.
        layer: the layer, for new blobs' device and type; None where none can be added.
    """

    __slots__ = ("_blobs", "_layer")

    def __init__(self, blobs: list[core.Blob], layer: Any = None) -> None:
        self._blobs, self._layer = blobs, layer

    def __len__(self) -> int:
        return len(self._blobs)

    def __iter__(self) -> Iterator[Blob]:
        return (Blob(blob) for blob in self._blobs)

    def __getitem__(self, index: Any) -> Any:
        found = self._blobs[index]
        return [Blob(blob) for blob in found] if isinstance(index, slice) else Blob(found)

    def append(self, blob: Blob) -> None:
        """Add a blob."""
        self._blobs.append(blob._blob)

    def extend(self, blobs: Sequence[Blob]) -> None:
        """Add several blobs."""
        for blob in blobs:
            self.append(blob)

    def add_blob(self, *shape: int) -> None:
        """Add a parameter blob of zeros, in a Python layer's setup."""
        self._blobs.append(self._layer.new_blob(shape) if self._layer is not None else core.Blob(shape))

    def __repr__(self) -> str:
        return f"BlobVec({list(self)})"


class Layer:
    """A layer of a net; what layers written in Python derive from.

    Such a class implements ``setup(bottom, top)``, ``reshape(bottom, top)``, ``forward(bottom, top)`` and
    ``backward(top, propagate_down, bottom)``, where bottom and top are lists of :class:`Blob`. It finds its
    ``param_str`` and ``phase``, and makes parameters by ``self.blobs.add_blob(*shape)``.

    Args:
        layer: the core layer that it stands for.
    """

    param_str: str = ""
    phase: int = 0

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    @property
    def blobs(self) -> BlobVec:
        """The layer's parameters."""
        return BlobVec(self._layer.blobs, self._layer)

    @property
    def type(self) -> str:
        """The layer's type, as in prototxts."""
        return str(self._layer.type)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Once, when the net is built."""
        if type(self) is Layer:
            self._layer.setup([b._blob for b in bottom], [b._blob for b in top])

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Shape the tops after the bottoms."""
        if type(self) is Layer:
            self._layer.reshape([b._blob for b in bottom], [b._blob for b in top])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Write the tops' data."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Write the bottoms' diffs."""
        raise NotImplementedError(f"{type(self).__name__}.backward")
