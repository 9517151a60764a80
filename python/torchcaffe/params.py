"""A net's parameters: which are shared, and how fast each learns. Source: ``net.cpp`` (AppendParam)."""

from __future__ import annotations

from typing import Any

from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from torchcaffe.blob import Blob
from torchcaffe.layers.base import Layer

_PERMISSIVE = caffe_pb2.ParamSpec.PERMISSIVE


class Params:
    """The parameters of all layers in order, those of one name being one."""

    def __init__(self) -> None:
        self.learnable: list[Blob] = []
        """Each parameter once, the blob of its first layer."""
        self.lr_mults: list[float] = []
        """For each learnable one; 1 where the prototxt says nothing."""
        self.decay_mults: list[float] = []
        """For each learnable one; 1 where the prototxt says nothing."""
        self._owners: dict[str, tuple[Layer, int]] = {}
        self._learnable_ids: dict[str, int] = {}
        self._given: list[tuple[bool, bool]] = []
        self._shared: list[tuple[Blob, Blob]] = []
        self.ids: list[tuple[int, int]] = []
        """For each learnable one: the layer's position and the blob's within it."""
        self._layers = 0

    @staticmethod
    def specs(layer: Layer) -> list[Any]:
        """The ParamSpec of each of a layer's blobs, the default one where the prototxt has none."""
        given = list(layer.param.param)
        return given + [caffe_pb2.ParamSpec() for _ in range(len(layer.blobs) - len(given))]

    @staticmethod
    def display_names(layer: Layer) -> list[str]:
        """The name of each of a layer's blobs, its index where it has none."""
        return [spec.name or str(i) for i, spec in enumerate(Params.specs(layer))]

    def add_layer(self, layer: Layer) -> None:
        """Take a layer's blobs.

        Raises:
            CaffeError: more ``param`` than blobs, or a shared one that differs from its first use in shape (count,
                if PERMISSIVE), lr_mult or decay_mult.
        """
        if len(layer.param.param) > len(layer.blobs):
            raise layer.fail(f"{len(layer.param.param)} param for {len(layer.blobs)} parameter blob(s)")
        for i, (blob, spec) in enumerate(zip(layer.blobs, self.specs(layer))):
            if spec.name in self._owners and spec.name:
                self._share_one(layer, i, blob, spec)
                continue
            if spec.name:
                self._owners[spec.name] = (layer, i)
                self._learnable_ids[spec.name] = len(self.learnable)
            self.learnable.append(blob)
            self.ids.append((self._layers, i))
            self.lr_mults.append(spec.lr_mult)
            self.decay_mults.append(spec.decay_mult)
            self._given.append((spec.HasField("lr_mult"), spec.HasField("decay_mult")))
        self._layers += 1

    def _share_one(self, layer: Layer, i: int, blob: Blob, spec: Any) -> None:
        owner, j = self._owners[spec.name]
        first = owner.blobs[j]
        permissive = spec.share_mode == _PERMISSIVE
        if first.count != blob.count if permissive else first.shape != blob.shape:
            raise layer.fail(
                f"shares parameter {spec.name!r} of shape {blob.shape} with layer {owner.name!r}, "
                f"where it has {first.shape}",
                "the counts must be equal" if permissive else "share_mode: PERMISSIVE asks for equal counts only",
            )
        k = self._learnable_ids[spec.name]
        for position, name, values in ((0, "lr_mult", self.lr_mults), (1, "decay_mult", self.decay_mults)):
            if not spec.HasField(name):
                continue
            value, given = getattr(spec, name), list(self._given[k])
            if given[position] and values[k] != value:
                raise CaffeError(
                    f"layer {layer.name!r} ({layer.type}): shared parameter {spec.name!r} has {name} {value}, "
                    f"{values[k]} before"
                )
            values[k], given[position] = value, True
            self._given[k] = (given[0], given[1])
        self._shared.append((blob, first))

    def share(self) -> None:
        """Let shared parameters use the memory of the first of their name."""
        for blob, first in self._shared:
            blob.share_data(first)
            blob.share_diff(first)
