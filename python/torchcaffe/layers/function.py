"""FunctionLayer: a layer that is a differentiable function of tensors; PyTorch derives shapes and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import torch

from torchcaffe.layers.base import Blobs, Flags, Layer

Outputs = Union[torch.Tensor, "tuple[torch.Tensor, ...]"]


class FunctionLayer(Layer):
    """A layer given by :meth:`function` alone: tops = function(*bottoms, *parameters).

    Shapes come from running the function on tensors without values (``meta``), again whenever a bottom's shape changes;
    gradients from autograd. What the function reads it sees as it is at the time of backward, as in Caffe.
    """

    _shapes: Any = None
    _inputs: Sequence[torch.Tensor] = ()
    _outputs: tuple[torch.Tensor, ...] = ()

    def function(self, *inputs: torch.Tensor) -> Outputs:
        """The tops' values from the bottoms' and the parameters', in that order, not changing them.

        As many tensors as there are tops; one may come without a tuple. It must take ``meta`` tensors, too.
        """
        raise NotImplementedError(f"{type(self).__name__}.function")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The function's output shapes.

        Raises:
            CaffeError: the bottoms' shapes do not go together.
        """
        shapes = [blob.shape for blob in bottom]
        if self._shapes is not None and self._shapes[0] == shapes:
            outputs = self._shapes[1]
        else:
            inputs = [torch.empty(b.shape, dtype=b.dtype, device="meta") for b in (*bottom, *self.blobs)]
            try:
                with torch.no_grad():
                    outputs = [tuple(output.shape) for output in _tuple(self.function(*inputs))]
            except (RuntimeError, IndexError) as error:
                raise self.fail(f"bottoms of shapes {shapes} do not fit: {error}") from None
            self._shapes = (shapes, outputs)
        for blob, shape in zip(top, outputs):
            blob.reshape(*shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Run the function; remember its graph if backward will be called."""
        self._outputs, self._inputs = (), ()  # frees the last graph before the next is built
        if not self.needs_backward:
            with torch.no_grad():
                outputs = _tuple(self.function(*[blob.data for blob in (*bottom, *self.blobs)]))
        else:
            wanted = [*self.propagate_down, *self.param_propagate_down]
            # `.data`: a tensor with a version counter of its own, since later writes are meant to be seen, not refused
            inputs = [
                (blob.data.clone() if any(blob.shares_data_with(t) for t in top) else blob.data.data).requires_grad_(
                    want
                )
                for blob, want in zip((*bottom, *self.blobs), wanted)
            ]
            with torch.enable_grad():
                outputs = _tuple(self.function(*inputs))
            self._inputs, self._outputs = inputs, outputs
        for blob, output in zip(top, outputs):
            blob.data.copy_(output.detach())

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Gradients by autograd; may be called again after one forward."""
        if not self._outputs:
            raise self.fail("backward without a forward before it")
        targets = [
            (blob, tensor, i < len(bottom))
            for i, (blob, tensor) in enumerate(zip((*bottom, *self.blobs), self._inputs))
            if tensor.requires_grad and (i >= len(bottom) or propagate_down[i])
        ]
        sources = [(output, blob.diff) for output, blob in zip(self._outputs, top) if output.requires_grad]
        gradients: Sequence[torch.Tensor | None] = [None] * len(targets)
        if sources and targets:
            gradients = torch.autograd.grad(
                [output for output, _ in sources],
                [tensor for _, tensor, _ in targets],
                [diff for _, diff in sources],
                retain_graph=True,
                allow_unused=True,
            )
        for (blob, _, is_bottom), gradient in zip(targets, gradients):
            if not is_bottom:
                if gradient is not None:
                    blob.accumulate(gradient)
            elif gradient is None:
                blob.diff.zero_()
            else:
                blob.diff.copy_(gradient)


def _tuple(outputs: Outputs) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)
