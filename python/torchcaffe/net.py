"""Net: layers built from a NetParameter and run forward and backward. Source: ``net.cpp``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

import torch

from caffefiles.errors import CaffeError, nearest
from caffefiles.files import PathLike
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_net
from torchcaffe import common, log
from torchcaffe.blob import Blob
from torchcaffe.layers.base import Layer
from torchcaffe.layers.registry import create_layer
from torchcaffe.need_backward import Step, backward_pass, forward_pass
from torchcaffe.net_filter import filter_net
from torchcaffe.params import Params
from torchcaffe.splits import insert_splits


class Net:
    """A net.

    Args:
        param: an upgraded NetParameter (:func:`caffefiles.prototxt.read_net`); its state says the phase.
        source: where it came from, for errors.
        device: where it computes; None follows :func:`torchcaffe.common.set_mode_gpu`, even later.
        dtype: of all blobs.

    Raises:
        CaffeError: whatever is wrong with it; names the file, the layer and what was expected.
    """

    def __init__(
        self,
        param: Any,
        source: PathLike = "<net>",
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.source = str(source)
        self._follows_mode = device is None
        self.device = common.device() if device is None else torch.device(device)
        self.dtype = dtype
        self.passes = 0
        """How often layers were run, backward too, or reshaped: what was recorded before is then out of date."""
        self.before_forward: list[Callable[[int], object]] = []
        """Called with a layer's position before it runs."""
        self.after_forward: list[Callable[[int], object]] = []
        self.before_backward: list[Callable[[int], object]] = []
        self.after_backward: list[Callable[[int], object]] = []
        try:
            self._build(insert_splits(filter_net(param)))
        except CaffeError as error:
            raise CaffeError(f"{self.source}: {error.message}", error.hint) from None

    @classmethod
    def from_file(cls, path: PathLike, phase: int, level: int = 0, stages: Sequence[str] = (), **options: Any) -> Net:
        """The net of a prototxt in a state.

        Raises:
            CaffeError: the file or the net is wrong.
        """
        param = read_net(path)
        param.state.phase, param.state.level = phase, level
        param.state.stage.extend(stages)
        return cls(param, path, **options)

    def _build(self, param: Any) -> None:
        self.name: str = param.name
        self.phase: int = param.state.phase
        self.debug_info: bool = param.debug_info
        self.layers: list[Layer] = []
        self.layer_names: list[str] = []
        self.blobs: list[Blob] = []
        self.blob_names: list[str] = []
        self.bottom_ids: list[list[int]] = []
        self.top_ids: list[list[int]] = []
        self.inputs: list[int] = []
        """Indices of the Input layers' tops among the blobs."""
        self.layer_needs_backward: list[bool] = []
        self.bottom_needs_backward: list[list[bool]] = []
        self.params = Params()
        blob_needs: list[bool] = []
        index: dict[str, int] = {}
        unread: set[str] = set()
        for layer_param in param.layer:
            self._append_layer(layer_param, index, unread, blob_needs)
        backward_pass(
            [
                Step([self.blob_names[i] for i in b], [self.blob_names[i] for i in t], layer.loss_weights)
                for layer, b, t in zip(self.layers, self.bottom_ids, self.top_ids)
            ],
            self.layer_needs_backward,
            self.bottom_needs_backward,
        )
        if param.force_backward:
            self._force_backward()
        for layer, needs, bottoms in zip(self.layers, self.layer_needs_backward, self.bottom_needs_backward):
            layer.needs_backward, layer.propagate_down = needs, bottoms
        self.outputs = [index[name] for name in sorted(unread)]
        """Indices of the blobs that no layer reads, in the order of their names."""
        self._blob_index, self._layer_index = index, {name: i for i, name in enumerate(self.layer_names)}
        self.params.share()

    def _append_layer(self, param: Any, index: dict[str, int], unread: set[str], blob_needs: list[bool]) -> None:
        if not param.HasField("phase"):
            param.phase = self.phase
        if param.propagate_down and len(param.propagate_down) != len(param.bottom):
            raise CaffeError(
                f"layer {param.name!r} ({param.type}): {len(param.propagate_down)} propagate_down for "
                f"{len(param.bottom)} bottoms",
                "give one for each bottom, or none",
            )
        layer = create_layer(param, param.phase, self.device, self.dtype)
        bottoms, tops = [], []
        for name in param.bottom:
            bottoms.append(index[name])  # insert_splits has checked that it is there
            unread.discard(name)
        for i, name in enumerate(param.top):
            if i < len(param.bottom) and name == param.bottom[i]:
                tops.append(index[name])  # in place
            elif name in index:
                raise layer.fail(f"top blob {name!r} is made by an earlier layer too", "give it another name")
            else:
                tops.append(self._new_blob(name, blob_needs))
                index[name] = tops[-1]
            unread.add(name)
        if layer.auto_top_blobs:
            while len(tops) < max(layer.min_num_top or 0, layer.exact_num_top or 0):
                tops.append(self._new_blob("(automatic)", blob_needs))
        if param.type == "Input":
            self.inputs += tops
        # as given: BatchNorm sets lr_mult to 0 in its setup, and Caffe runs backward for it all the same
        learnt = [spec.lr_mult != 0 for spec in param.param]
        layer.setup([self.blobs[i] for i in bottoms], [self.blobs[i] for i in tops])
        self.params.add_layer(layer)
        layer.param_propagate_down = learnt + [True] * (len(layer.blobs) - len(learnt))
        needs, below = forward_pass(bottoms, param.propagate_down, layer.param_propagate_down, blob_needs, tops)
        self.layers.append(layer)
        self.layer_names.append(param.name)
        self.bottom_ids.append(bottoms)
        self.top_ids.append(tops)
        self.layer_needs_backward.append(needs)
        self.bottom_needs_backward.append(below)

    def _new_blob(self, name: str, blob_needs: list[bool]) -> int:
        self.blobs.append(Blob((0,), self.dtype, self.device))
        self.blob_names.append(name)
        blob_needs.append(False)
        return len(self.blobs) - 1

    def _force_backward(self) -> None:
        for i, layer in enumerate(self.layers):
            self.layer_needs_backward[i] = True
            self.bottom_needs_backward[i] = [
                needs or j not in layer.no_force_backward for j, needs in enumerate(self.bottom_needs_backward[i])
            ]
            layer.param_propagate_down = [True] * len(layer.blobs)

    # -- looking things up -----------------------------------------------------------------------------------------

    def blob(self, name: str) -> Blob:
        """The blob of a name.

        Raises:
            CaffeError: the net has none of that name.
        """
        if name not in self._blob_index:
            raise CaffeError(f"{self.source}: there is no blob {name!r}", nearest(name, self._blob_index))
        return self.blobs[self._blob_index[name]]

    def layer(self, name: str) -> Layer:
        """The layer of a name.

        Raises:
            CaffeError: the net has none of that name.
        """
        return self.layers[self.layer_id(name)]

    def layer_id(self, name: str) -> int:
        """The position of a layer (of the last one, if several have the name).

        Raises:
            CaffeError: the net has none of that name.
        """
        if name not in self._layer_index:
            raise CaffeError(f"{self.source}: there is no layer {name!r}", nearest(name, self._layer_index))
        return self._layer_index[name]

    def bottoms(self, i: int) -> list[Blob]:
        """The bottoms of layer ``i``."""
        return [self.blobs[j] for j in self.bottom_ids[i]]

    def tops(self, i: int) -> list[Blob]:
        """The tops of layer ``i``."""
        return [self.blobs[j] for j in self.top_ids[i]]

    # -- running ---------------------------------------------------------------------------------------------------

    def forward(self, start: int = 0, end: int | None = None) -> torch.Tensor:
        """Run the layers ``start`` to ``end`` (the last), both included.

        Returns:
            the loss, a scalar on the net's device (so that no GPU is waited for).
        """
        loss = self.run(start, len(self.layers) - 1 if end is None else end)
        return torch.zeros((), dtype=self.dtype, device=self.device) if loss is None else loss

    def run(self, start: int, end: int) -> torch.Tensor | None:
        """As :meth:`forward`, with None where no layer has a loss."""
        self.follow_mode()
        self.passes += 1
        loss = None
        for i in range(start, end + 1):
            for call in self.before_forward:
                call(i)
            part = self.layers[i].run(self.bottoms(i), self.tops(i))
            if part is not None:
                loss = part if loss is None else loss + part
            if self.debug_info:
                self._log_forward(i)
            for call in self.after_forward:
                call(i)
        return loss

    def backward(self, start: int | None = None, end: int = 0) -> None:
        """Run the layers ``start`` (the last) down to ``end`` backward, both included."""
        self.follow_mode()
        self.passes += 1
        for i in range(len(self.layers) - 1 if start is None else start, end - 1, -1):
            for call in self.before_backward:
                call(i)
            if self.layer_needs_backward[i]:
                self.layers[i].backward(self.tops(i), self.bottom_needs_backward[i], self.bottoms(i))
                if self.debug_info:
                    self._log_backward(i)
            for call in self.after_backward:
                call(i)
        if self.debug_info:
            self._log_norms()

    def reshape(self) -> None:
        """Let every layer shape its tops after its bottoms."""
        self.passes += 1
        for i, layer in enumerate(self.layers):
            layer.reshape(self.bottoms(i), self.tops(i))

    def clear_param_diffs(self) -> None:
        """Set all parameters' gradients to zero."""
        for blob in self.params.learnable:
            blob.clear_diff()

    def to(self, device: torch.device) -> None:
        """Move everything to another device."""
        self.device = device
        self.passes += 1
        for blob in self.blobs:
            blob.to(device)
        for layer in self.layers:
            layer.to(device)

    def follow_mode(self) -> None:
        """Move to the device of the present mode, if the net was given none of its own."""
        if self._follows_mode and common.device() != self.device:
            self.to(common.device())

    # -- weights ---------------------------------------------------------------------------------------------------

    def copy_trained_layers_from(self, param: Any, source: PathLike = "<weights>") -> None:
        """Take the blobs of the layers that have our layers' names; others are passed over.

        Raises:
            CaffeError: a layer's blobs differ in number or shape.
        """
        for stored in param.layer:
            if stored.name not in self._layer_index:
                log.info("net.cpp:746", "Ignoring source layer %s", stored.name)
                continue
            layer = self.layer(stored.name)
            if len(stored.blobs) != len(layer.blobs):
                raise CaffeError(
                    f"{source}: layer {stored.name!r} has {len(stored.blobs)} blobs, the net's has {len(layer.blobs)}"
                )
            for i, (blob, proto) in enumerate(zip(layer.blobs, stored.blobs)):
                try:
                    blob.from_proto(proto, reshape=False)
                except CaffeError as error:
                    raise CaffeError(
                        f"{source}: blob {i} of layer {stored.name!r}: {error.message}",
                        "rename the layer in the prototxt to learn it from scratch",
                    ) from None

    def share_trained_layers_with(self, other: Net) -> None:
        """Use the other net's parameters, the very same memory, for layers of the same name.

        Raises:
            CaffeError: a layer's blobs differ in number or shape.
        """
        for name, layer in zip(other.layer_names, other.layers):
            if name not in self._layer_index:
                continue
            ours = self.layer(name).blobs
            if [blob.shape for blob in ours] != [blob.shape for blob in layer.blobs]:
                raise CaffeError(
                    f"{self.source}: layer {name!r} has blobs of shapes {[b.shape for b in ours]}, "
                    f"the net to share with has {[b.shape for b in layer.blobs]}"
                )
            for blob, theirs in zip(ours, layer.blobs):
                blob.share_data(theirs)

    def to_proto(self, write_diff: bool = False) -> Any:
        """The NetParameter with the present weights, what a caffemodel holds."""
        proto = caffe_pb2.NetParameter(name=self.name)
        for layer in self.layers:
            proto.layer.append(layer.to_proto(write_diff))
        return proto

    # -- debug_info ------------------------------------------------------------------------------------------------

    def _log_forward(self, i: int) -> None:
        name = self.layer_names[i]
        for j in self.top_ids[i]:
            value = _mean(self.blobs[j].data)
            log.info("net.cpp:593", "    [Forward] Layer %s, top blob %s data: %g", name, self.blob_names[j], value)
        for label, blob in zip(self.params.display_names(self.layers[i]), self.layers[i].blobs):
            log.info("net.cpp:605", "    [Forward] Layer %s, param blob %s data: %g", name, label, _mean(blob.data))

    def _log_backward(self, i: int) -> None:
        name, layer = self.layer_names[i], self.layers[i]
        for j, wanted in zip(self.bottom_ids[i], self.bottom_needs_backward[i]):
            if wanted:
                value = _mean(self.blobs[j].diff)
                line = "    [Backward] Layer %s, bottom blob %s diff: %g"
                log.info("net.cpp:621", line, name, self.blob_names[j], value)
        for j, blob in enumerate(layer.blobs):
            if layer.param_propagate_down[j]:
                log.info("net.cpp:632", "    [Backward] Layer %s, param blob %d diff: %g", name, j, _mean(blob.diff))

    def _log_norms(self) -> None:
        blobs = self.params.learnable
        one = [sum(float(t.abs().sum()) for t in side) for side in ([b.data for b in blobs], [b.diff for b in blobs])]
        two = [
            sum(float(t.square().sum()) for t in side) for side in ([b.data for b in blobs], [b.diff for b in blobs])
        ]
        log.error(
            "net.cpp:721",
            "    [Backward] All net params (data, diff): L1 norm = (%g, %g); L2 norm = (%g, %g)",
            *one,
            two[0] ** 0.5,
            two[1] ** 0.5,
        )


def _mean(tensor: torch.Tensor) -> float:
    return float(tensor.abs().mean()) if tensor.numel() else 0.0
