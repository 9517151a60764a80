"""Classifier: a deploy net for images, with ten crops. Source: ``classifier.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffefiles.files import PathLike
from caffefiles.proto import caffe_pb2
from torchcaffe.pycaffe import io
from torchcaffe.pycaffe.net import Net


class Classifier(Net):
    """A net of one input that scores images.

    Args:
        model_file: the deploy prototxt.
        pretrained_file: the caffemodel.
        image_dims: height and width that images are resized to before cropping (the net's input).
        mean: of the pixels, see :meth:`torchcaffe.pycaffe.io.Transformer.set_mean`.
        input_scale: a factor after the mean.
        raw_scale: a factor before the mean.
        channel_swap: (2, 1, 0) for nets that take B, G, R.
    """

    def __init__(
        self,
        model_file: PathLike,
        pretrained_file: PathLike,
        image_dims: Sequence[int] | None = None,
        mean: Any = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, caffe_pb2.TEST, weights=pretrained_file)
        self.transformer = make_transformer(self, mean, input_scale, raw_scale, channel_swap)
        shape = self.blobs[self.inputs[0]].data.shape
        self.crop_dims = np.array(shape[2:])
        self.image_dims: Any = image_dims or self.crop_dims

    def predict(self, inputs: Sequence[Any], oversample: bool = True) -> NDArray[np.float32]:
        """Scores, images × classes.

        Args:
            inputs: images, height × width × K, of any size.
            oversample: the mean over ten crops (corners, centre, mirrored) instead of the centre's score.
        """
        height, width = int(self.image_dims[0]), int(self.image_dims[1])
        channels = np.shape(inputs[0])[2]
        images = np.zeros((len(inputs), height, width, channels), np.float32)
        for i, image in enumerate(inputs):
            images[i] = io.resize_image(image, (height, width))
        if oversample:
            crops = io.oversample(images, self.crop_dims)
        else:
            middle = np.array(self.image_dims) / 2.0
            top, left = (int(n) for n in middle - self.crop_dims / 2.0)
            bottom, right = (int(n) for n in middle + self.crop_dims / 2.0)
            crops = images[:, top:bottom, left:right]
        name = self.inputs[0]
        batch: dict[str, Any] = {name: np.stack([self.transformer.preprocess(name, crop) for crop in crops])}
        predictions: NDArray[np.float32] = self.forward_all(**batch)[self.outputs[0]]
        if oversample:
            predictions = predictions.reshape(-1, 10, *predictions.shape[1:]).mean(1)
        return predictions


def make_transformer(
    net: Net, mean: Any, input_scale: float | None, raw_scale: float | None, channel_swap: Sequence[int] | None
) -> io.Transformer:
    """The Transformer of a net's only input: height × width × K images, and what is given."""
    name = net.inputs[0]
    transformer = io.Transformer({name: net.blobs[name].data.shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer
