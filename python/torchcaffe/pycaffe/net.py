"""Net as Caffe's Python module has it. Source: ``pycaffe.py``, ``_caffe.cpp``."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import zip_longest
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from caffefiles import prototxt
from caffefiles.caffemodel import read_weights
from caffefiles.errors import CaffeError, nearest
from caffefiles.files import PathLike
from torchcaffe.net import Net as CoreNet
from torchcaffe.pycaffe.errors import CaffeRuntimeError, CaffeValueError, require_file
from torchcaffe.views import Blob, BlobVec, Layer

Arrays = dict[str, NDArray[Any]]


class Net:
    """A net of a prototxt: ``Net(file, phase, level=0, stages=None, weights=None)``, or ``Net(file, weights, phase)``.

    Args:
        network_file: the prototxt.
        arguments: the phase (TRAIN or TEST), level, stages and weights; or weights and phase, the old form.
        phase: TRAIN or TEST.
        level: of the net's state.
        stages: of the net's state.
        weights: a caffemodel, binary or HDF5.

    Raises:
        CaffeError: a file cannot be read, or the net is wrong (also a RuntimeError where the file is missing).
    """

    def __init__(
        self,
        network_file: PathLike,
        *arguments: Any,
        phase: int | None = None,
        level: int = 0,
        stages: Iterable[str] | None = None,
        weights: PathLike | None = None,
    ) -> None:
        if arguments and isinstance(arguments[0], (str, os.PathLike)):
            if len(arguments) > 2 or weights is not None:
                raise TypeError("Net(network_file, weights_file, phase) takes no further arguments")
            weights, arguments = arguments[0], arguments[1:]
        if len(arguments) > 4:
            raise TypeError(f"Net() takes at most 5 positional arguments, {1 + len(arguments)} were given")
        given = dict(zip(("phase", "level", "stages", "weights"), arguments))
        phase = given.get("phase", phase)
        weights = given.get("weights", weights)
        stages = given.get("stages", stages)
        if phase not in (0, 1) or isinstance(phase, bool):
            raise TypeError(f"the phase {phase!r} is neither caffe.TRAIN nor caffe.TEST")
        for path in filter(None, (network_file, weights)):
            require_file(path)
        self._net = CoreNet.from_file(
            os.fspath(network_file), phase, int(given.get("level", level)), list(stages or ())
        )
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def _of(cls, net: CoreNet) -> Net:
        """The view of a net that is there already."""
        result = cls.__new__(cls)
        result._net = net
        return result

    # -- what it is made of ----------------------------------------------------------------------------------------

    @cached_property
    def blobs(self) -> OrderedDict[str, Blob]:
        """The blobs by name, in the order in which they are made."""
        return OrderedDict(zip(self._blob_names, self._blobs))

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """For each blob, the weight with which it counts in the loss."""
        return OrderedDict(zip(self._blob_names, self._blob_loss_weights))

    @cached_property
    def params(self) -> OrderedDict[str, BlobVec]:
        """The parameters of each layer that has any: weights, bias."""
        named = zip(self._net.layer_names, self._net.layers)
        return OrderedDict((name, BlobVec(layer.blobs)) for name, layer in named if layer.blobs)

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers, in order; one written in Python is the user's own object."""
        return [_layer(layer) for layer in self._net.layers]

    @property
    def layer_dict(self) -> OrderedDict[str, Layer]:
        """The layers by name."""
        return OrderedDict(zip(self._layer_names, self.layers))

    @property
    def inputs(self) -> list[str]:
        """The names of the Input layers' tops."""
        return [self._net.blob_names[i] for i in self._net.inputs]

    @property
    def outputs(self) -> list[str]:
        """The names of the blobs that no layer reads."""
        return [self._net.blob_names[i] for i in self._net.outputs]

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """For each layer the names of its tops."""
        return self._names(self._net.top_ids)

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """For each layer the names of its bottoms."""
        return self._names(self._net.bottom_ids)

    def _names(self, ids: Sequence[Sequence[int]]) -> OrderedDict[str, list[str]]:
        names = self._net.blob_names
        return OrderedDict((layer, [names[i] for i in own]) for layer, own in zip(self._net.layer_names, ids))

    @property
    def _blob_names(self) -> list[str]:
        return list(self._net.blob_names)

    @property
    def _layer_names(self) -> list[str]:
        return list(self._net.layer_names)

    @property
    def _blobs(self) -> list[Blob]:
        return [Blob(blob) for blob in self._net.blobs]

    @property
    def _blob_loss_weights(self) -> list[float]:
        weights = [0.0] * len(self._net.blobs)
        for layer, tops in zip(self._net.layers, self._net.top_ids):
            for i, weight in zip(tops, layer.loss_weights):
                weights[i] = weight
        return weights

    @property
    def _inputs(self) -> list[int]:
        return list(self._net.inputs)

    @property
    def _outputs(self) -> list[int]:
        return list(self._net.outputs)

    def _top_ids(self, layer: int) -> list[int]:
        return list(self._net.top_ids[layer])

    def _bottom_ids(self, layer: int) -> list[int]:
        return list(self._net.bottom_ids[layer])

    # -- running ---------------------------------------------------------------------------------------------------

    def _forward(self, start: int, end: int) -> float:
        return float(self._net.forward(start, end))

    def _backward(self, start: int, end: int) -> None:
        self._net.backward(start, end)

    def forward(
        self, blobs: Sequence[str] | None = None, start: str | None = None, end: str | None = None, **kwargs: Any
    ) -> Arrays:
        """Run forward.

        Args:
            blobs: further blobs to return.
            start: the layer to begin with (the first).
            end: the layer to end with (the last); its tops are returned then, else the net's outputs.
            kwargs: an array for every input, each of the batch size.

        Returns:
            live views of the returned blobs' data by name.

        Raises:
            CaffeError: there is no such layer or blob, or the arrays are not the inputs.
        """
        first = 0 if start is None else self._net.layer_id(start)
        last = len(self._net.layers) - 1 if end is None else self._net.layer_id(end)
        names = self._known_blobs(self.outputs if end is None else self.top_names[end], blobs)
        if kwargs and set(kwargs) != set(self.inputs):
            raise self._mismatch("Input blob", kwargs, "inputs", self.inputs, "give an array for each of them")
        for name, value in kwargs.items():
            self._assign(name, value, "data", "Input")
        self._forward(first, last)
        return {name: self.blobs[name].data for name in names}

    def backward(
        self, diffs: Sequence[str] | None = None, start: str | None = None, end: str | None = None, **kwargs: Any
    ) -> Arrays:
        """Run backward.

        Args:
            diffs: further blobs whose gradients to return.
            start: the layer to begin with (the last).
            end: the layer to end with (the first); its bottoms' gradients are returned then, else the net's inputs'.
            kwargs: a gradient for every output, each of the batch size.

        Returns:
            live views of the gradients by name.

        Raises:
            CaffeError: there is no such layer or blob, or the arrays are not the outputs.
        """
        first = len(self._net.layers) - 1 if start is None else self._net.layer_id(start)
        last = 0 if end is None else self._net.layer_id(end)
        names = self._known_blobs(self.inputs if end is None else self.bottom_names[end], diffs)
        if kwargs and set(kwargs) != set(self.outputs):
            raise self._mismatch("Top diff", kwargs, "outputs", self.outputs, "give a gradient for each of them")
        for name, value in kwargs.items():
            self._assign(name, value, "diff", "Diff")
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in names}

    def _known_blobs(self, names: Iterable[str], more: Iterable[str] | None) -> list[str]:
        """All of them by name."""
        wanted = sorted({*names, *(more or ())})
        for name in wanted:
            if name not in self.blobs:
                raise CaffeError(f"{self._net.source}: there is no blob {name!r}", nearest(name, self.blobs))
        return wanted

    def _mismatch(
        self, what: str, given: Iterable[str], side: str, expected: Iterable[str], hint: str
    ) -> CaffeValueError:
        message = f"{what} arguments {_list(given)} do not match net {side} {_list(expected)}"
        return CaffeValueError(f"{self._net.source}: {message}", hint)

    def _assign(self, name: str, value: Any, side: str, what: str) -> None:
        blob, array = self.blobs[name], np.asarray(value)
        if array.shape[:1] != blob.shape[:1]:
            raise CaffeValueError(
                f"{self._net.source}: {what} is not batch sized: {name!r} got the shape {array.shape}, "
                f"it has {blob.shape}",
                "reshape the blob and the net first, or use forward_all",
            )
        try:
            getattr(blob, side)[...] = array
        except ValueError as error:
            raise CaffeValueError(f"{self._net.source}: {what} {name!r}: {error}") from None

    def forward_all(self, blobs: Sequence[str] | None = None, **kwargs: Any) -> Arrays:
        """Run forward over any number of examples, in batches.

        Args:
            blobs: further blobs to return.
            kwargs: for every input its examples.

        Returns:
            for each returned blob the results of all examples.
        """
        results: dict[str, list[NDArray[Any]]] = {}
        for batch in self._batch(kwargs):
            _extend(results, self.forward(blobs=blobs, **batch))
        return _without_padding(results, kwargs)

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **kwargs: Any
    ) -> tuple[Arrays, Arrays]:
        """Run forward and backward over any number of examples, in batches.

        Args:
            blobs: further blobs to return.
            diffs: further blobs whose gradients to return.
            kwargs: for every input its examples, for every output their gradients.

        Returns:
            data and gradients by name.
        """
        forward = self._batch({name: kwargs[name] for name in self.inputs if name in kwargs})
        backward = self._batch({name: kwargs[name] for name in self.outputs if name in kwargs})
        data: dict[str, list[NDArray[Any]]] = {}
        gradients: dict[str, list[NDArray[Any]]] = {}
        none: dict[str, Any] = {}
        for inputs, tops in zip_longest(forward, backward, fillvalue=none):
            _extend(data, self.forward(blobs=blobs, **inputs))
            _extend(gradients, self.backward(diffs=diffs, **tops))
        return _without_padding(data, kwargs), _without_padding(gradients, kwargs)

    def _batch(self, arrays: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Batches of the net's size; the last is filled up with zeros."""
        if not arrays:
            return
        counts = {name: len(value) for name, value in arrays.items()}
        if len(set(counts.values())) > 1:
            raise CaffeValueError(f"{self._net.source}: different numbers of examples: {counts}")
        count, size = next(iter(counts.values())), next(iter(self.blobs.values())).shape[0]
        for begin in range(0, count, size):
            batch: dict[str, Any] = {name: np.asarray(value[begin : begin + size]) for name, value in arrays.items()}
            missing = begin + size - count
            if missing > 0:
                batch = {n: np.concatenate([v, np.zeros((missing, *v.shape[1:]), v.dtype)]) for n, v in batch.items()}
            yield batch

    def reshape(self) -> None:
        """Let every layer shape its tops after its bottoms, after a reshape of an input blob."""
        self._net.reshape()

    def clear_param_diffs(self) -> None:
        """Set the parameters' gradients to zero."""
        self._net.clear_param_diffs()
        for blob in self._net.params.learnable:
            blob.diff  # noqa: B018 - now, so that views taken earlier see the zeros

    def before_forward(self, callback: Callable[[int], Any]) -> None:
        """Call ``callback(layer number)`` before each layer's forward."""
        self._net.before_forward.append(callback)

    def after_forward(self, callback: Callable[[int], Any]) -> None:
        """Call ``callback(layer number)`` after each layer's forward."""
        self._net.after_forward.append(callback)

    def before_backward(self, callback: Callable[[int], Any]) -> None:
        """Call ``callback(layer number)`` before each layer's backward."""
        self._net.before_backward.append(callback)

    def after_backward(self, callback: Callable[[int], Any]) -> None:
        """Call ``callback(layer number)`` after each layer's backward."""
        self._net.after_backward.append(callback)

    def set_input_arrays(self, data: Any, labels: Any) -> None:
        """Feed the MemoryData layer, which must be the net's first.

        Args:
            data: float32, N × channels × height × width, N a multiple of the batch size. Not copied: later changes are
                seen by later forwards.
            labels: float32, N (or N × 1 × 1 × 1).

        Raises:
            CaffeError: the net's first layer is no MemoryData, or the arrays do not fit it (also a RuntimeError).
        """
        labels = np.asarray(labels)
        return self._set_input_arrays(data, labels[:, None, None, None] if labels.ndim == 1 else labels)

    def _set_input_arrays(self, data: Any, labels: Any) -> None:
        from torchcaffe.layers.memory_data import MemoryData

        layer = self._net.layers[0] if self._net.layers else None
        if not isinstance(layer, MemoryData):
            raise CaffeRuntimeError(
                f"{self._net.source}: set_input_arrays may only be called if the first layer is a MemoryDataLayer"
            )
        try:
            layer.reset(data, labels)
        except CaffeError as error:
            raise CaffeRuntimeError(error.message, error.hint) from None

    # -- weights ---------------------------------------------------------------------------------------------------

    def copy_from(self, filename: PathLike) -> None:
        """Take the weights of the layers that have our layers' names, from a binary or HDF5 (``.h5``) caffemodel.

        Raises:
            CaffeError: the file cannot be read, or a layer's blobs differ in number or shape.
        """
        path = os.fspath(filename)
        if path.endswith(".h5"):
            self.load_hdf5(path)
        else:
            self._net.copy_trained_layers_from(read_weights(path), path)

    def share_with(self, other: Net) -> None:
        """Use the other net's weights, the very same memory, for layers of the same name."""
        self._net.share_trained_layers_with(other._net)
        for cached in ("blobs", "params", "layers"):
            self.__dict__.pop(cached, None)

    def save(self, filename: PathLike) -> None:
        """Write a binary caffemodel, whole or not at all."""
        prototxt.save_binary(filename, self._net.to_proto())

    def save_hdf5(self, filename: PathLike, write_diff: bool = False) -> None:
        """Write a caffemodel as HDF5: ``/data/<layer>/<i>`` (and ``/diff/…``)."""
        from torchcaffe import hdf5  # h5py is wanted only by those who use such files

        hdf5.save_net(self._net, filename, write_diff)

    def load_hdf5(self, filename: PathLike) -> None:
        """Take the weights of an HDF5 caffemodel.

        Raises:
            CaffeError: the file cannot be read, or a layer's blobs differ in number or shape.
        """
        from torchcaffe import hdf5

        hdf5.load_net(self._net, filename)


def _layer(layer: Any) -> Layer:
    """The user's object for a layer written in Python, else a view."""
    instance = getattr(layer, "instance", None)
    return instance if isinstance(instance, Layer) else Layer(layer)


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "(none)"


def _extend(results: dict[str, list[NDArray[Any]]], batch: Arrays) -> None:
    """Append copies of a batch's examples to the results; a blob without axes counts as one example."""
    for name, value in batch.items():
        results.setdefault(name, []).extend(value.copy() if value.ndim else [value.copy()])


def _without_padding(results: dict[str, list[NDArray[Any]]], given: dict[str, Any]) -> Arrays:
    """Stacked, less the zeros that filled up the last batch."""
    count = len(next(iter(given.values()))) if given else None
    padding = 0 if count is None else max((len(v) for v in results.values()), default=0) - count
    return {name: np.asarray(value[:-padding] if padding > 0 else value) for name, value in results.items()}
