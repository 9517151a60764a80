"""Layer: what every layer type is. docs/torchcaffe.md says how to add one.

Source: ``layer.hpp``, ``loss_layer.hpp``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from caffefiles.errors import CaffeError
from torchcaffe import common, fillers
from torchcaffe.blob import Blob

Blobs = Sequence[Blob]
Flags = Sequence[bool]
"""For each bottom, whether its gradient is wanted."""


class Layer:
    """A step of a net: reads its bottoms' data and writes its tops'; backward, writes its bottoms' diffs.

    A type sets the class attributes, which are checked before :meth:`layer_setup`, and implements :meth:`reshape`,
    :meth:`forward` and :meth:`backward`, or is a :class:`~torchcaffe.layers.function.FunctionLayer`.

    Args:
        param: the LayerParameter.
        phase: caffe_pb2.TRAIN or TEST.
        device: where it computes.
        dtype: in what.
    """

    exact_num_bottom: ClassVar[int | None] = None
    min_num_bottom: ClassVar[int | None] = None
    max_num_bottom: ClassVar[int | None] = None
    exact_num_top: ClassVar[int | None] = None
    min_num_top: ClassVar[int | None] = None
    max_num_top: ClassVar[int | None] = None
    equal_num_bottom_top: ClassVar[bool] = False
    auto_top_blobs: ClassVar[bool] = False
    """Are tops that the prototxt leaves out added by the net, up to ``exact_num_top`` or ``min_num_top``?"""
    is_loss: ClassVar[bool] = False
    """Does the first top count as a loss, with weight 1, unless the prototxt says otherwise?"""
    no_force_backward: ClassVar[tuple[int, ...]] = ()
    """The bottoms (labels, say) that ``force_backward`` leaves alone."""

    def __init__(
        self, param: Any, phase: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.param = param
        self.phase = phase
        self.device = torch.device(device)
        self.dtype = dtype
        self.name: str = param.name
        self.type: str = param.type
        self.blobs: list[Blob] = []
        """The parameters. Made by layer_setup, or given in the prototxt."""
        for proto in param.blobs:
            self.blobs.append(Blob((0,), dtype, self.device))
            self.blobs[-1].from_proto(proto)
        self.loss_weights: list[float] = []
        """One for each top, 0 where it is no loss."""
        self.param_propagate_down: list[bool] = []
        """For each parameter: is its gradient wanted? Set by the net."""
        self.propagate_down: list[bool] = []
        """For each bottom: is its gradient wanted? Set by the net; all, for a layer on its own."""
        self.needs_backward = True
        """Will backward be called at all? Set by the net; forward need keep nothing for it if not."""

    # -- what a type implements ------------------------------------------------------------------------------------

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Once, before the first reshape: read the parameters, make the blobs (``self.blobs``)."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Before every forward: give the tops the shapes that follow from the bottoms' (cheap if nothing changed)."""
        raise NotImplementedError(f"{type(self).__name__}.reshape")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Write the tops' data (in place: ``blob.data``)."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """From the tops' diffs: overwrite the bottoms' diffs where asked, add to the parameters' (``accumulate``)."""
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def to(self, device: torch.device) -> None:
        """Move the parameters, and what else a type keeps, to another device."""
        self.device = device
        for blob in self.blobs:
            blob.to(device)

    # -- what it can use -------------------------------------------------------------------------------------------

    def fail(self, message: str, hint: str = "") -> CaffeError:
        """An error that names the layer, to be raised."""
        return CaffeError(f"layer {self.name!r} ({self.type}): {message}", hint)

    def refuse_in_place(self, bottom: Blobs, top: Blobs) -> None:
        """Raise CaffeError if a top is one of the bottoms."""
        if any(blob is other for blob in top for other in bottom):
            raise self.fail("does not work in place", "give its tops names of their own")

    def new_blob(self, shape: Sequence[int], filler: Any = None) -> Blob:
        """A blob on the layer's device, filled by a FillerParameter if one is given."""
        blob = Blob(shape, self.dtype, self.device)
        if filler is not None:
            values = fillers.fill(shape, filler, common.generator())
            blob.data.copy_(torch.from_numpy(values))
        return blob

    def init_blobs(self, *shapes_and_fillers: tuple[Sequence[int], Any]) -> None:
        """Make and fill the parameters, in order; those that the prototxt gave are kept.

        Raises:
            CaffeError: the prototxt gave others than these.
        """
        if not self.blobs:
            self.blobs = [self.new_blob(shape, filler) for shape, filler in shapes_and_fillers]
        given, expected = [blob.count for blob in self.blobs], [math.prod(shape) for shape, _ in shapes_and_fillers]
        if given != expected:
            raise self.fail(f"the prototxt gives blobs of {given} values", f"expected {expected}")
        for blob, (shape, _) in zip(self.blobs, shapes_and_fillers):
            blob.reshape(*shape)

    # -- what the net calls ----------------------------------------------------------------------------------------

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        """Check the numbers of bottoms and tops, set up, take the prototxt's blobs, reshape, set the loss weights.

        Raises:
            CaffeError: whatever is wrong with the layer; names it.
        """
        self.check_blob_counts(len(bottom), len(top))
        self.propagate_down = self.propagate_down or [True] * len(bottom)
        try:
            self.layer_setup(bottom, top)
            self.param_propagate_down = [True] * len(self.blobs)
            self._set_loss_weights(top)
            self.reshape(bottom, top)
        except CaffeError as error:
            prefix = f"layer {self.name!r} ("
            if error.message.startswith(prefix):
                raise
            raise self.fail(error.message, error.hint) from None
        self._fill_loss_diffs(top)

    def check_blob_counts(self, bottoms: int, tops: int) -> None:
        """Raise CaffeError unless the layer takes so many bottoms and tops."""
        for what, got, exact, least, most in (
            ("bottom", bottoms, self.exact_num_bottom, self.min_num_bottom, self.max_num_bottom),
            ("top", tops, self.exact_num_top, self.min_num_top, self.max_num_top),
        ):
            for limit, bad, wording in (
                (exact, exact is not None and got != exact, "takes"),
                (least, least is not None and got < least, "takes at least"),
                (most, most is not None and got > most, "takes at most"),
            ):
                if bad:
                    raise self.fail(f"{wording} {limit} {what} blob(s), the prototxt gives {got}")
        if self.equal_num_bottom_top and bottoms != tops:
            raise self.fail(
                f"produces one top blob for each bottom; the prototxt gives {bottoms} bottom(s), {tops} top(s)"
            )

    def _set_loss_weights(self, top: Blobs) -> None:
        if self.is_loss and not self.param.loss_weight:
            self.param.loss_weight.append(1)  # so that a caffemodel states it, as Caffe's does
            self.loss_weights = [1.0, *[0.0] * (len(top) - 1)]
            return
        given = list(self.param.loss_weight)
        if given and len(given) != len(top):
            raise self.fail(f"{len(given)} loss_weight for {len(top)} top blob(s)", "give one for each top, or none")
        self.loss_weights = given or [0.0] * len(top)

    def _fill_loss_diffs(self, top: Blobs) -> None:
        for blob, weight in zip(top, self.loss_weights):
            if weight:
                blob.diff.fill_(weight)

    def run(self, bottom: Blobs, top: Blobs) -> torch.Tensor | None:
        """Reshape and forward; the layer's contribution to the loss as a scalar on its device, or None."""
        shapes = [blob.shape for blob, weight in zip(top, self.loss_weights) if weight]
        self.reshape(bottom, top)
        if shapes != [blob.shape for blob, weight in zip(top, self.loss_weights) if weight]:
            self._fill_loss_diffs(top)
        self.forward(bottom, top)
        loss = None
        for blob, weight in zip(top, self.loss_weights):
            if weight:
                data, diff = blob.data.view(-1), blob.diff.view(-1)
                # a product of two numbers is one kernel on a GPU, a dot product two
                part = (data * diff).view(()) if blob.count == 1 else torch.dot(data, diff)
                loss = part if loss is None else loss + part
        return loss

    def to_proto(self, write_diff: bool = False) -> Any:
        """The LayerParameter with the present blobs in it."""
        proto = type(self.param)()
        proto.CopyFrom(self.param)
        proto.ClearField("blobs")
        for blob in self.blobs:
            blob.to_proto(proto.blobs.add(), write_diff)
        return proto


class SourceLayer(Layer):
    """A layer without bottoms, whose tops keep the shapes that ``layer_setup`` or ``forward`` gives them."""

    exact_num_bottom: ClassVar[int | None] = 0

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Leave the tops as they are: no bottom decides their shapes."""

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Do nothing: there is no bottom to propagate to."""


class ZeroGradientLayer(Layer):
    """A layer through which no gradient passes."""

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Set the requested bottom diffs to zero."""
        for blob, propagate in zip(bottom, propagate_down):
            if propagate:
                blob.diff.zero_()


class LossLayer(Layer):
    """A layer whose first top is a scalar loss of scores (bottom 0) and targets (bottom 1), which get no gradient."""

    exact_num_bottom: ClassVar[int | None] = 2
    exact_num_top: ClassVar[int | None] = 1
    auto_top_blobs: ClassVar[bool] = True
    is_loss: ClassVar[bool] = True
    no_force_backward: ClassVar[tuple[int, ...]] = (1,)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The loss is a scalar; scores and targets have one example count.

        Raises:
            CaffeError: they differ in the first dimension.
        """
        if bottom[0].shape[:1] != bottom[1].shape[:1]:
            raise self.fail(
                f"bottoms of shapes {bottom[0].shape} and {bottom[1].shape} differ in the first dimension",
                "scores and targets must be of equally many examples",
            )
        top[0].reshape()

    def refuse_target_gradient(self, propagate_down: Flags) -> None:
        """To be called first in backward.

        Raises:
            CaffeError: the targets' gradient is asked for.
        """
        if propagate_down[1]:
            raise self.fail(
                "cannot backpropagate to its label inputs (bottom 1)", "feed them from a data or input layer"
            )
