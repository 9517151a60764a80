"""Recurrent: what LSTM and RNN share, layers that run along sequences. Source: ``recurrent_layer.cpp``."""

from __future__ import annotations

from typing import ClassVar

import torch

from torchcaffe import common, fillers
from torchcaffe.blob import Blob
from torchcaffe.layers.base import Blobs
from torchcaffe.layers.function import FunctionLayer


class RecurrentLayer(FunctionLayer):
    """Bottoms x, T × N × ...; cont, T × N, 0 where a sequence begins, else 1; optionally x_static, N × ....

    With ``expose_hidden`` follow the hidden states before the first step, each 1 × N × D, and as many tops with those
    after the last; without, they are kept from one forward to the next (0 at first). No gradient enters or leaves by
    the hidden states, as in Caffe. First top: T × N × D, D = ``num_output``. Weights get ``weight_filler``, biases
    ``bias_filler``, in the order in which Caffe's unrolled net draws them: once for each step, of which the first
    counts. cont gets no gradient.

    Differs from Caffe in: T may change between forwards; ``debug_info`` has no effect.
    """

    hidden: ClassVar[int] = 1
    """How many hidden states."""
    no_force_backward = (1,)

    def check_blob_counts(self, bottoms: int, tops: int) -> None:
        """Return as many as expose_hidden asks for."""
        exposed = self.hidden if self.param.recurrent_param.expose_hidden else 0
        if bottoms not in (2 + exposed, 3 + exposed):
            raise self.fail(f"takes {2 + exposed} or {3 + exposed} bottom blobs, the prototxt gives {bottoms}")
        if tops != 1 + exposed:
            raise self.fail(f"takes {1 + exposed} top blob(s), the prototxt gives {tops}")

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Make the parameters.

        Raises:
            CaffeError: no num_output, or bottoms of the wrong numbers of axes.
        """
        param = self.param.recurrent_param
        if not param.num_output:
            raise self.fail("recurrent_param.num_output must be positive")
        self._exposed: bool = param.expose_hidden
        self._static = len(bottom) == 3 + (self.hidden if self._exposed else 0)
        self._size: int = param.num_output
        self._check(bottom)
        self._features = bottom[0].count_between(2)
        static = bottom[2].count_between(1) if self._static else None
        given = bool(self.blobs)
        self.init_blobs(*self.parameters(self._features, static))
        if not given:  # the later steps' copies draw, too, before they are given the first's memory
            for _ in range(bottom[0].shape[0] - 1):
                for shape, filler in self.parameters(self._features, static)[3 if self._static else 2 :]:
                    fillers.fill(shape, filler, common.generator())
        self._state = [self.new_blob((1, bottom[0].shape[1], self._size)) for _ in range(self.hidden)]

    def parameters(self, features: int, static: int | None) -> list[tuple[tuple[int, ...], object]]:
        """Shapes and fillers: W of x, its b, W of x_static (if any), then those of a step."""
        raise NotImplementedError(f"{type(self).__name__}.parameters")

    def run_steps(
        self, x: torch.Tensor, cont: torch.Tensor, state: list[torch.Tensor], weights: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The output, T × N × D, and the last states, N × D, from the transformed x, T × N × ..., cont, T × N × 1."""
        raise NotImplementedError(f"{type(self).__name__}.run_steps")

    def _check(self, bottom: Blobs) -> None:
        x, cont = bottom[0].shape, bottom[1].shape
        if len(x) < 2 or cont != x[:2] or not x[0]:
            raise self.fail(f"bottoms of shapes {x} and {cont}", "x is T x N x ..., cont is T x N")
        if self._static and bottom[2].shape[:1] != x[1:2]:
            raise self.fail(f"a static bottom of shape {bottom[2].shape} for x of shape {x}", "N x ...")
        if self._exposed:
            for blob in bottom[-self.hidden :]:
                if blob.shape != (1, x[1], self._size):
                    raise self.fail(
                        f"a hidden state of shape {blob.shape}", f"(1, {x[1]}, {self._size}) is expected: 1 x N x D"
                    )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """T × N × D, and 1 × N × D for each exposed state.

        Raises:
            CaffeError: the bottoms do not go together, or x has other features than at first.
        """
        self._check(bottom)
        if bottom[0].count_between(2) != self._features:
            raise self.fail(f"x of shape {bottom[0].shape}", f"{self._features} features from axis 2 on were expected")
        for blob in self._state:
            blob.reshape(1, bottom[0].shape[1], self._size)
        super().reshape(bottom, top)

    def function(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Transform x for all steps at once, then step."""
        count = len(inputs) - len(self.blobs)
        weights, cont = inputs[count:], inputs[1]
        x = inputs[0].flatten(2) if inputs[0].dim() > 2 else inputs[0][..., None]
        transformed = torch.nn.functional.linear(x, weights[0], weights[1])
        if self._static:
            transformed = transformed + torch.nn.functional.linear(inputs[2].reshape(x.shape[1], -1), weights[2])
        if self._exposed:
            state = [h[0].detach() for h in inputs[count - self.hidden : count]]
        else:
            state = [blob.data[0].to(x.device) for blob in self._state]
        y, last = self.run_steps(transformed, cont[..., None], state, weights[3 if self._static else 2 :])
        return (y, *[h[None].detach() for h in last])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Run; the states are kept as further outputs of the function, which only an exposing layer has tops for."""
        if self._exposed:
            super().forward(bottom, top)
            return
        after = [Blob(blob.shape, self.dtype, self.device) for blob in self._state]
        super().forward(bottom, [*top, *after])
        self._state = after

    def to(self, device: torch.device) -> None:
        """Move the states, too."""
        super().to(device)
        for blob in self._state:
            blob.to(device)
