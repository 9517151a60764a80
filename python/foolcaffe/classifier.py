"""A trained classifier behind Caffe's interface: scores, probabilities, and the gradient of the data.

The mean is subtracted here, in the net's input step, and nowhere else: everything outside is BGR, 0..255.
Caffe aborts the process at a failed check, so what can be checked is checked before Caffe sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from caffefiles.caffemodel import blob_shape, check_weights, read_weights
from caffefiles.mean import read_mean
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_text
from foolcaffe.engine import caffe
from foolcaffe.errors import FoolCaffeError, nearest
from foolcaffe.images import BgrPixels

Batch = Union[BgrPixels, npt.NDArray[np.float32]]
CHUNK = 64
"""Images a forward pass at most, so that memory stays small."""


class Classifier:
    """A deploy net with its weights and mean.

    Attributes:
        shape: of one input image: channels, height, width.
        classes: how many scores there are.
        queries: images scored so far, forward passes and gradients alike.

    Args:
        deploy: the deploy prototxt: one ``Input`` layer, and a ``Softmax`` as its last layer.
        weights: the ``.caffemodel``.
        mean: ``mean.binaryproto``, or None for a net that takes raw pixels.
        gpu: a GPU's id, or None for the CPU.

    Raises:
        FoolCaffeError: a file is missing or damaged, the weights are another net's, the mean has another shape, the net
            gives no data gradient, or has no score layer.
    """

    def __init__(self, deploy: Path, weights: Path, mean: Path | None, gpu: int | None = None) -> None:
        parameters = read_text(deploy, caffe_pb2.NetParameter(), "NetParameter")
        _check_layers(deploy, parameters)
        blobs = read_weights(weights, "`make train` trains one")
        check_weights(blobs, weights)
        self.shape = _input_shape(deploy, parameters)
        self._softmax, self._score = _score_blob(deploy, parameters)
        if not parameters.force_backward:
            raise FoolCaffeError(
                f"{deploy} gives no data gradient: force_backward is not set",
                "add the line `force_backward: true` at its top",
            )
        self._mean = np.zeros(self.shape, np.float32)
        if mean is not None:
            self._mean = read_mean(mean, "`make lmdb` computes one")
            if self._mean.shape != self.shape:
                raise FoolCaffeError(
                    f"the mean {mean} is {_by(self._mean.shape)}, the input of {deploy} is {_by(self.shape)}"
                )
        if gpu is None:
            caffe.set_mode_cpu()
        else:
            caffe.set_device(gpu)
            caffe.set_mode_gpu()
        self._net = caffe.Net(str(deploy), caffe.TEST)
        self._check_weights(blobs, weights, deploy)
        self._net.copy_from(str(weights))
        for name, layer in self._net.params.items():
            for index, blob in enumerate(layer):
                if not np.isfinite(blob.data).all():
                    raise FoolCaffeError(
                        f"{weights}: layer {name!r}, blob {index} holds values that are not finite",
                        "its training diverged: train it again with a lower base_lr",
                    )
        self.classes = int(np.prod(self._net.blobs[self._score].data.shape[1:]))
        self._input = str(next(iter(self._net.inputs)))
        self.queries = 0

    def _check_weights(self, weights: Any, file: Path, deploy: Path) -> None:
        """Compare shapes before ``copy_from``, which would abort; and names, which it would skip in silence."""
        given = {layer.name: [blob_shape(b) for b in layer.blobs] for layer in weights.layer}
        for name, layer in self._net.params.items():
            if name not in given or not given[name]:
                raise FoolCaffeError(
                    f"{file} has no weights for the layer {name!r} of {deploy}",
                    f"it has weights for: {', '.join(n for n, b in given.items() if b)}",
                )
            wanted = [tuple(blob.data.shape) for blob in layer]
            if [int(np.prod(s)) for s in given[name]] != [int(np.prod(s)) for s in wanted]:
                raise FoolCaffeError(
                    f"{file} holds weights of another net: layer {name!r} is "
                    f"{', '.join(_by(s) for s in given[name])}, {deploy} wants {', '.join(map(_by, wanted))}"
                )

    def scores(self, images: Batch) -> npt.NDArray[np.float32]:
        """Class scores before the softmax: images × classes.

        Args:
            images: one image, or images × channels × height × width, BGR, 0..255.
        """
        return self._forward(images, self._score)

    def probabilities(self, images: Batch) -> npt.NDArray[np.float32]:
        """Softmax of the scores: images × classes, each row sums to 1."""
        return self._forward(images, self._softmax)

    def data_gradient(self, image: BgrPixels, score_diff: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The gradient of a weighted sum of the scores on the pixels, by Caffe's backward pass.

        Args:
            image: where.
            score_diff: a weight for each class: one-hot for the gradient of one class score.

        Returns:
            channels × height × width, in score per grey level.
        """
        return np.asarray(self.data_gradients(image, score_diff[None])[0])

    def class_gradient(self, image: BgrPixels, target: int) -> npt.NDArray[np.float32]:
        """The gradient of one class score on the pixels; for a linear net it is the weight row."""
        one_hot = np.zeros(self.classes, np.float32)
        one_hot[target] = 1
        return self.data_gradient(image, one_hot)

    @property
    def linear(self) -> bool:
        """Whether its score layer is fed by the pixels themselves, so that its weight rows are images."""
        layer = self._net.params.get(self._layer_of_score())
        return layer is not None and layer[0].data.shape == (self.classes, int(np.prod(self.shape)))

    def score_weights(self) -> npt.NDArray[np.float32]:
        """The weight rows of a linear net as images: classes × channels × height × width, BGR order.

        Raises:
            FoolCaffeError: the score layer is not fed by the pixels, so its rows are no images.
        """
        if not self.linear:
            raise FoolCaffeError(
                "this net is not linear: its score layer is not fed by the pixels, so it has no templates"
            )
        layer = self._net.params[self._layer_of_score()]
        return np.array(layer[0].data).reshape((self.classes, *self.shape))

    def score_offsets(self) -> npt.NDArray[np.float64]:
        """The scores of a linear net for the image that is zero everywhere, in double precision: bias − weights · mean.

        Raises:
            FoolCaffeError: as :meth:`score_weights`.
        """
        rows = self.score_weights().reshape(self.classes, -1).astype(np.float64)
        layer = self._net.params[self._layer_of_score()]
        bias = np.array(layer[1].data, np.float64) if len(layer) > 1 else np.zeros(self.classes)
        return np.asarray(bias - rows @ self._mean.reshape(-1).astype(np.float64))

    def data_gradients(self, images: Batch, score_diffs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """:meth:`data_gradient` for many images at once, each with its own weights of the scores.

        Args:
            images: images × channels × height × width, BGR, 0..255.
            score_diffs: images × classes.

        Returns:
            images × channels × height × width, in score per grey level.
        """
        gradients = []
        for begin in self._forwards(images):
            blob = self._net.blobs[self._score]
            blob.diff[...] = np.reshape(score_diffs[begin : begin + CHUNK], blob.data.shape)
            self._net.backward(start=self._layer_of_score())
            gradients.append(np.array(self._net.blobs[self._input].diff))
        return np.concatenate(gradients)

    def _layer_of_score(self) -> str:
        return str([name for name, tops in self._net.top_names.items() if self._score in tops][-1])

    def _forward(self, images: Batch, blob: str) -> npt.NDArray[np.float32]:
        rows = [np.array(self._net.blobs[blob].data).reshape(-1, self.classes) for _ in self._forwards(images)]
        return np.concatenate(rows) if rows else np.zeros((0, self.classes), np.float32)

    def _forwards(self, images: Batch) -> Iterator[int]:
        """Run the net forward on chunks of the images, and yield the index of each chunk's first image."""
        batch = images.array[None] if isinstance(images, BgrPixels) else images
        if batch.ndim != 4 or batch.shape[1:] != self.shape:
            raise FoolCaffeError(f"images of {_by(batch.shape[1:])} do not fit a net that takes {_by(self.shape)}")
        for begin in range(0, len(batch), CHUNK):
            part, blob = batch[begin : begin + CHUNK], self._net.blobs[self._input]
            if blob.data.shape[0] != len(part):
                blob.reshape(len(part), *self.shape)
                self._net.reshape()
            self._net.blobs[self._input].data[...] = part - self._mean
            self.queries += len(part)
            self._net.forward()
            yield begin


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "nothing"


def _check_layers(file: Path, parameters: Any) -> None:
    known = list(caffe.layer_type_list())
    for layer in parameters.layer:
        if layer.type not in known:
            raise FoolCaffeError(
                f"{file}: layer {layer.name!r} has the unknown type {layer.type!r}", nearest(layer.type, known)
            )
    if not parameters.layer:
        raise FoolCaffeError(f"{file} has no layers")


def _input_shape(file: Path, parameters: Any) -> tuple[int, int, int]:
    inputs = [layer for layer in parameters.layer if layer.type == "Input"]
    if len(inputs) != 1 or len(inputs[0].input_param.shape) != 1 or len(inputs[0].input_param.shape[0].dim) != 4:
        raise FoolCaffeError(
            f"{file}: one Input layer with a shape of four dims was expected", "is it a deploy prototxt?"
        )
    dims = [int(d) for d in inputs[0].input_param.shape[0].dim]
    if dims[1] != 3 or min(dims) < 1:
        raise FoolCaffeError(f"{file}: the input is {_by(tuple(dims))}; N × 3 × height × width was expected")
    return dims[1], dims[2], dims[3]


def _score_blob(file: Path, parameters: Any) -> tuple[str, str]:
    """The tops of the final Softmax and of what it reads."""
    last = parameters.layer[-1]
    if last.type != "Softmax":
        raise FoolCaffeError(
            f"{file}: the last layer is {last.name!r} of type {last.type}; a Softmax over the class scores was expected"
        )
    if last.bottom[0] == last.top[0]:
        raise FoolCaffeError(
            f"{file}: the Softmax {last.name!r} works in place, so the scores before it are lost",
            "give its top a name of its own",
        )
    return str(last.top[0]), str(last.bottom[0])
