"""Blob: an N-dimensional array and its gradient, as PyTorch tensors to layers and NumPy arrays to users.

On the CPU both are one memory. On a GPU the NumPy side is a copy that is synchronised when one side is asked for after
the other was: asking for an array hands the blob to the user, asking for a tensor takes it back (Caffe's SyncedMemory
and ``mutable_cpu_data``). Source: ``blob.cpp``, ``syncedmem.cpp``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from caffefiles.caffemodel import blob_shape
from caffefiles.errors import CaffeError

_MAX_AXES = 32
_MAX_COUNT = 2**31 - 1


class Storage:
    """A flat run of numbers on a device, with a copy on the host where the device is not the CPU.

    Args:
        capacity: elements; allocated, as zeros, when first used.
        dtype: of both sides.
        device: where the tensor lives.
    """

    __slots__ = ("_array", "_cleared", "_deferred", "_on_host", "_tensor", "capacity", "device", "dtype")

    def __init__(self, capacity: int, dtype: torch.dtype, device: torch.device) -> None:
        self.capacity, self.dtype, self.device = capacity, dtype, device
        self._tensor: torch.Tensor | None = None
        self._array: NDArray[Any] | None = None
        self._on_host = False
        self._cleared = False
        self._deferred: torch.Tensor | None = None

    def tensor(self) -> torch.Tensor:
        """The numbers on the device."""
        tensor = self._tensor
        if tensor is None:
            tensor = self._tensor = torch.zeros(self.capacity, dtype=self.dtype, device=self.device)
        if self._on_host:
            tensor.copy_(torch.from_numpy(self._array))
            self._on_host = False
        if self._cleared:
            tensor.zero_()
            self._cleared = False
        if self._deferred is not None:
            tensor.copy_(self._deferred.reshape(-1))
            self._deferred = None
        return tensor

    def array(self) -> NDArray[Any]:
        """The numbers on the host: the same memory on the CPU, else a copy that is taken back by :meth:`tensor`."""
        if self._on_host and self._array is not None:
            return self._array
        tensor = self.tensor()
        if self.device.type == "cpu":
            return tensor.numpy()
        if self._array is None:
            self._array = np.empty(self.capacity, torch.empty(0, dtype=self.dtype).numpy().dtype)
        torch.from_numpy(self._array).copy_(tensor)
        self._on_host = True
        return self._array

    def replace(self, tensor: torch.Tensor) -> None:
        """Use another tensor's memory from now on, for all who share this storage; earlier views are no longer live."""
        self._tensor, self._array, self._on_host, self._cleared = tensor.reshape(-1), None, False, False
        self._deferred = None

    def clear(self) -> None:
        """All zeros; done when next used, so that what overwrites everything costs nothing extra."""
        self._cleared, self._on_host, self._deferred = self._tensor is not None, False, None

    def defer(self, source: torch.Tensor) -> None:
        """The numbers of ``source``, which stays as it is until then, copied when next used, if they are."""
        self._cleared, self._on_host, self._deferred = False, False, source

    def take_cleared(self) -> bool:
        """True, once, if the numbers are all zero but not yet written: the caller then overwrites all of them."""
        cleared, self._cleared = self._cleared, False
        return cleared

    @property
    def held(self) -> torch.Tensor | None:
        """The memory on the device as it is, None if there is none yet: to see if it is still the same."""
        return self._tensor

    @property
    def cleared(self) -> bool:
        """Are the numbers zero, but not yet written?"""
        return self._cleared

    @cleared.setter
    def cleared(self, value: bool) -> None:
        self._cleared = value

    def put_back(self, tensor: torch.Tensor | None, cleared: bool) -> None:
        """Be again as :attr:`held` and :attr:`cleared` once said."""
        if self._tensor is not tensor:
            self._tensor, self._array, self._on_host = tensor, None, False
        self._deferred, self._cleared = None, cleared

    def settle(self) -> None:
        """Take the numbers back from the host, copy what was deferred: all that is pending but zeros to be written."""
        if self._on_host or self._deferred is not None:
            self.tensor()

    def to(self, device: torch.device) -> None:
        """Move to another device, keeping the numbers."""
        if device != self.device:
            tensor = None if self._tensor is None else self.tensor().to(device)
            self._tensor, self._array, self._on_host, self.device = tensor, None, False, device


class Blob:
    """A shaped ``data`` and ``diff`` (its gradient), both zero until written.

    Args:
        shape: any number of axes; none is a scalar.
        dtype: floating type of both.
        device: where the tensors live.
    """

    def __init__(
        self, shape: Sequence[int] = (0,), dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> None:
        self.dtype = dtype
        self.device = torch.device(device)
        self.shape: tuple[int, ...] = (0,)
        self.count = 0
        self._data = Storage(0, dtype, self.device)
        self._diff = Storage(0, dtype, self.device)
        self._views: list[tuple[Any, torch.Tensor] | None] = [None, None]
        self.reshape(*shape)

    def reshape(self, *shape: int) -> None:
        """Change the shape. Memory is kept unless it must grow; then earlier arrays and tensors are no longer live.

        Raises:
            CaffeError: a negative dimension, more than 32 axes, or more elements than an int32 counts.
        """
        new = tuple(int(n) for n in shape)
        if new == self.shape:
            return
        if len(new) > _MAX_AXES or any(n < 0 for n in new):
            raise CaffeError(f"no blob can have the shape {new}", f"dimensions >= 0, at most {_MAX_AXES} axes")
        count = math.prod(new)
        if count > _MAX_COUNT:
            raise CaffeError(f"a blob of shape {new} has {count} elements", f"at most {_MAX_COUNT} are allowed")
        self.shape, self.count = new, count
        if count > self._data.capacity:
            self._data = Storage(count, self.dtype, self.device)
        if count > self._diff.capacity:
            self._diff = Storage(count, self.dtype, self.device)
        self._views = [None, None]

    def reshape_like(self, other: Blob) -> None:
        """Take another blob's shape."""
        self.reshape(*other.shape)

    # -- the two sides ---------------------------------------------------------------------------------------------

    def _view(self, which: int, storage: Storage) -> torch.Tensor:
        flat = storage.tensor()
        cached = self._views[which]
        if cached is None or cached[0] is not flat:
            cached = self._views[which] = (flat, flat[: self.count].view(self.shape))
        return cached[1]

    @property
    def data(self) -> torch.Tensor:
        """The values, to be computed with and written in place."""
        return self._view(0, self._data)

    @property
    def diff(self) -> torch.Tensor:
        """The gradient, to be computed with and written in place."""
        return self._view(1, self._diff)

    @property
    def array(self) -> NDArray[Any]:
        """The values as NumPy: live on the CPU; on a GPU live until the net is run next."""
        return self._data.array()[: self.count].reshape(self.shape)

    @property
    def diff_array(self) -> NDArray[Any]:
        """The gradient as NumPy, live as :attr:`array` is."""
        return self._diff.array()[: self.count].reshape(self.shape)

    def take_data(self, tensor: torch.Tensor) -> None:
        """Let ``tensor``, which nobody else uses, be our values, without copying if it is on our device.

        Earlier arrays and tensors of this blob are no longer live, as after a data layer's forward in Caffe.
        """
        if tensor.device == self.device and tensor.dtype == self.dtype and tensor.numel() == self._data.capacity:
            self._data.replace(tensor.contiguous())
        else:
            self.data.copy_(tensor, non_blocking=True)

    def clear_diff(self) -> None:
        """Set the gradient to zero, at no cost if the next thing is :meth:`accumulate` or :meth:`diff_to_add_to`."""
        if self.count == self._diff.capacity:
            self._diff.clear()
        else:
            self.diff.zero_()

    def defer_diff(self, source: torch.Tensor) -> None:
        """Let the gradient be a copy of ``source``, made when next asked for; until then ``source`` must not change.

        At no cost if the next thing is :meth:`clear_diff`.
        """
        if self.count == self._diff.capacity:
            self._diff.defer(source)
        else:
            self.diff.copy_(source)

    def diff_to_add_to(self) -> tuple[torch.Tensor, int]:
        """The gradient and the factor (0 or 1) that it counts with in a sum, for ``addmm(beta=)`` and its like."""
        beta = 0 if self._diff.take_cleared() else 1
        return self.diff, beta

    def accumulate(self, gradient: torch.Tensor) -> None:
        """Add to the gradient."""
        diff, beta = self.diff_to_add_to()
        diff.add_(gradient) if beta else diff.copy_(gradient)

    @property
    def storages(self) -> tuple[Storage, Storage]:
        """Where the values and the gradient are kept."""
        return self._data, self._diff

    def share_data(self, other: Blob) -> None:
        """Use another blob's values as ours: one memory from now on."""
        self._data, self._views[0] = other._data, None

    def share_diff(self, other: Blob) -> None:
        """Use another blob's gradient as ours: one memory from now on."""
        self._diff, self._views[1] = other._diff, None

    def shares_data_with(self, other: Blob) -> bool:
        """Are the two blobs' values one memory?"""
        return self._data is other._data

    def to(self, device: torch.device) -> None:
        """Move both sides to another device."""
        self.device = device
        self._data.to(device)
        self._diff.to(device)

    # -- shape -----------------------------------------------------------------------------------------------------

    @property
    def num_axes(self) -> int:
        """How many axes."""
        return len(self.shape)

    def canonical_axis(self, axis: int) -> int:
        """An axis counted from the front; negative ones count from the back.

        Raises:
            CaffeError: there is no such axis.
        """
        if not -self.num_axes <= axis < self.num_axes:
            raise CaffeError(
                f"axis {axis} is out of range for a blob of shape {self.shape}", "negative ones count back"
            )
        return axis % self.num_axes

    def count_between(self, start: int, end: int | None = None) -> int:
        """The number of elements of a slice along the axes ``start`` to ``end`` − 1 (the last)."""
        return math.prod(self.shape[start:end])

    def legacy_dim(self, index: int) -> int:
        """num (0), channels (1), height (2) or width (3) of a blob with at most four axes; a missing one is 1.

        Raises:
            CaffeError: there are more than four axes.
        """
        if self.num_axes > 4:
            raise CaffeError(f"num, channels, height, width do not describe a blob of shape {self.shape}", "use .shape")
        return self.shape[index] if index < self.num_axes else 1

    num = property(lambda self: self.legacy_dim(0), doc="The first of four axes.")
    channels = property(lambda self: self.legacy_dim(1), doc="The second of four axes.")
    height = property(lambda self: self.legacy_dim(2), doc="The third of four axes.")
    width = property(lambda self: self.legacy_dim(3), doc="The fourth of four axes.")

    # -- files -----------------------------------------------------------------------------------------------------

    def to_proto(self, proto: Any, write_diff: bool = False) -> None:
        """Write shape and values (and the gradient) into an empty BlobProto."""
        proto.shape.dim.extend(self.shape)
        double = self.dtype == torch.float64
        (proto.double_data if double else proto.data).extend(self.data.detach().cpu().numpy().ravel())
        if write_diff:
            (proto.double_diff if double else proto.diff).extend(self.diff.detach().cpu().numpy().ravel())

    def from_proto(self, proto: Any, reshape: bool = True) -> None:
        """Read a BlobProto's shape and values (and gradient, if it has one).

        Raises:
            CaffeError: the shape differs and ``reshape`` is off, or the values do not fill the shape.
        """
        shape = blob_shape(proto)
        if reshape:
            self.reshape(*shape)
        elif not self.shape_equals(proto):
            raise CaffeError(f"the shape {shape} of the stored blob differs from {self.shape}")
        for single, double, target in (
            (proto.data, proto.double_data, self._data),
            (proto.diff, proto.double_diff, self._diff),
        ):
            stored: Any = double or single
            if len(stored) == 0 and target is self._diff:
                continue
            if len(stored) != self.count:
                raise CaffeError(f"a stored blob of shape {shape} holds {len(stored)} values, expected {self.count}")
            target.array()[: self.count] = np.fromiter(stored, np.float64 if double else np.float32, len(stored))

    def shape_equals(self, proto: Any) -> bool:
        """Does a BlobProto have our shape? One in the old four-field form may lack our leading 1s."""
        if any(proto.HasField(name) for name in ("num", "channels", "height", "width")):
            if self.num_axes > 4:
                return False
            ours = (1,) * (4 - self.num_axes) + self.shape
            return ours == (proto.num, proto.channels, proto.height, proto.width)
        return self.shape == tuple(proto.shape.dim)
