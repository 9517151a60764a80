"""Class labels as layers get them: floats of a blob, one for each position outside the class axis."""

from __future__ import annotations

import torch

from torchcaffe.blob import Blob
from torchcaffe.layers.base import Blobs, Layer, LossLayer


def read_labels(
    layer: Layer, scores: Blob, labels: Blob, axis: int, ignore: int | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Integer labels shaped (outer, 1, inner), to gather along the class axis of scores (outer, classes, inner).

    Args:
        layer: who asks, for the error.
        scores: the class scores.
        labels: one label for each position.
        axis: the class axis of the scores.
        ignore: the label that does not count, or None.

    Returns:
        the labels, an ignored one as 0; and which of them count, or None if all do.

    Raises:
        CaffeError: a label is not a class (on the CPU; a GPU is not waited for).
    """
    classes = scores.shape[axis]
    target = labels.data.reshape(scores.count_between(0, axis), 1, scores.count_between(axis + 1)).long()
    valid = None
    if ignore is not None:
        valid = target != ignore
        target = target.where(valid, torch.zeros_like(target))
    if target.numel() and target.device.type == "cpu":
        low, high = (int(v) for v in target.aminmax())
        if low < 0 or high >= classes:
            raise layer.fail(
                f"label {low if low < 0 else high} is not one of the {classes} classes "
                f"of a bottom of shape {scores.shape}",
                f"labels count from 0 to {classes - 1}: check the data, or num_output of the layer below",
            )
    return target, valid


def check_label_count(layer: Layer, scores: Blob, labels: Blob, axis: int) -> None:
    """Raise CaffeError unless there is a label for each position outside the class axis."""
    positions = scores.count_between(0, axis) * scores.count_between(axis + 1)
    if positions != labels.count:
        raise layer.fail(
            f"{labels.count} labels (shape {labels.shape}) for {positions} predictions "
            f"(shape {scores.shape}, class axis {axis})",
            "N x C x H x W scores need N*H*W integer labels in 0..C-1",
        )


def read_example_labels(layer: Layer, scores: Blob, labels: Blob) -> torch.Tensor:
    """N × 1 integer labels of scores N × ..., all values of an example being its classes.

    Raises:
        CaffeError: a label is not a class (on the CPU; a GPU is not waited for).
    """
    rows = Blob((scores.shape[0], scores.count_between(1)), scores.dtype, scores.device)  # for its shape only
    target, _ = read_labels(layer, rows, labels, 1, None)
    return target.view(-1, 1)


class ExampleLossLayer(LossLayer):
    """A loss with one label for each example; all values of an example are its classes."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Shape the loss, a scalar.

        Raises:
            CaffeError: there is not one label for each example.
        """
        super().reshape(bottom, top)
        if bottom[0].num_axes < 1 or bottom[1].count != bottom[0].shape[0]:
            raise self.fail(
                f"labels of shape {bottom[1].shape} for predictions of shape {bottom[0].shape}", "one an example"
            )
