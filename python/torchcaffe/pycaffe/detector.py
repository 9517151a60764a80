"""Detector: a deploy net for windows of images, as in R-CNN. Source: ``detector.py``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffefiles.files import PathLike
from caffefiles.proto import caffe_pb2
from torchcaffe.pycaffe import io
from torchcaffe.pycaffe.classifier import make_transformer
from torchcaffe.pycaffe.errors import CaffeRuntimeError
from torchcaffe.pycaffe.net import Net


class Detector(Net):
    """A net of one input that scores windows.

    Args:
        model_file: the deploy prototxt.
        pretrained_file: the caffemodel.
        mean: of the pixels, see :meth:`torchcaffe.pycaffe.io.Transformer.set_mean`.
        input_scale: a factor after the mean.
        raw_scale: a factor before the mean.
        channel_swap: (2, 1, 0) for nets that take B, G, R.
        context_pad: pixels of context, in the net's input, that are put around a window.
    """

    def __init__(
        self,
        model_file: PathLike,
        pretrained_file: PathLike,
        mean: Any = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, caffe_pb2.TEST, weights=pretrained_file)
        self.transformer = make_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(self, images_windows: Sequence[tuple[PathLike, Any]]) -> list[dict[str, Any]]:
        """Scores of windows.

        Args:
            images_windows: pairs of an image's file and its windows, each (ymin, xmin, ymax, xmax).

        Returns:
            for each window ``window``, ``prediction`` (its scores) and ``filename``.
        """
        name = self.inputs[0]
        crops, results = [], []
        for file, windows in images_windows:
            image = io.load_image(file).astype(np.float32)
            for window in windows:
                crops.append(self.transformer.preprocess(name, self.crop(image, window)))
                results.append({"window": window, "prediction": None, "filename": file})
        if not crops:
            return []
        batch: dict[str, Any] = {name: np.stack(crops)}
        predictions = self.forward_all(**batch)[self.outputs[0]]
        for result, scores in zip(results, predictions.squeeze(axis=tuple(range(2, predictions.ndim)))):
            result["prediction"] = scores
        return results

    def detect_selective_search(self, image_fnames: Sequence[PathLike]) -> list[dict[str, Any]]:
        """Scores of windows that selective search proposes; needs the module ``selective_search_ijcv_with_python``.

        Raises:
            CaffeError: the module is not there.
        """
        try:
            import selective_search_ijcv_with_python as selective_search  # type: ignore[import-not-found]
        except ImportError:
            raise CaffeRuntimeError(
                "the module selective_search_ijcv_with_python is not installed (it needs MATLAB)",
                "propose windows with another tool, and call detect_windows",
            ) from None
        names = [os.path.abspath(name) for name in image_fnames]  # noqa: PTH100 - its other side is MATLAB
        windows = selective_search.get_windows(names, cmd="selective_search_rcnn")
        return self.detect_windows(list(zip(names, windows)))

    def crop(self, im: Any, window: Any) -> NDArray[np.float32]:
        """A window of an image, with its context where :meth:`configure_crop` asked for some.

        Args:
            im: height × width × K.
            window: ymin, xmin, ymax, xmax.

        Returns:
            the window; with context it has the net's input size, and the mean where it leaves the image.
        """
        image = np.asarray(im)
        box = np.array(window)
        if not self.context_pad:
            return image[box[0] : box[2], box[1] : box[3]]
        size = self.blobs[self.inputs[0]].width
        scale = size / (1.0 * size - self.context_pad * 2)
        half_height, half_width = (box[2] - box[0] + 1) / 2.0, (box[3] - box[1] + 1) / 2.0
        centre = (box[0] + half_height, box[1] + half_width)
        reach = np.array([-half_height, -half_width, half_height, half_width])
        padded = np.round(np.tile(centre, 2) + scale * reach)
        height, width = padded[2] - padded[0] + 1, padded[3] - padded[1] + 1
        scale_h, scale_w = size / height, size / width
        # what sticks out of the image, in the net's pixels
        pad_y, pad_x = round(max(0, -padded[0]) * scale_h), round(max(0, -padded[1]) * scale_w)
        limits = np.array(image.shape)
        inside = np.clip(padded, 0, [limits[0], limits[1], limits[0], limits[1]]).astype(int)
        cut = image[inside[0] : inside[2], inside[1] : inside[3]]
        crop_height, crop_width = round(cut.shape[0] * scale_h), round(cut.shape[1] * scale_w)
        crop_height, crop_width = min(crop_height, size - pad_y), min(crop_width, size - pad_x)
        result: NDArray[np.float32] = np.array(np.broadcast_to(self.crop_mean, self.crop_dims), np.float32)
        result[pad_y : pad_y + crop_height, pad_x : pad_x + crop_width] = io.resize_image(
            cut, (crop_height, crop_width)
        )
        return result

    def configure_crop(self, context_pad: int | None) -> None:
        """How many pixels of context, in the net's input, are put around a window; what is outside is the mean."""
        name = self.inputs[0]
        shape = self.blobs[name].data.shape[1:]
        transpose = self.transformer.transpose[name]
        self.crop_dims = np.array(shape)[np.argsort(transpose)]
        self.context_pad = context_pad
        if not context_pad:
            return
        mean = self.transformer.mean.get(name)
        if mean is None:
            self.crop_mean: Any = np.zeros(self.crop_dims, np.float32)
            return
        mean = np.broadcast_to(mean, shape)
        swap = self.transformer.channel_swap.get(name)
        if swap is not None:
            mean = mean[np.argsort(swap)]
        self.crop_mean = mean.transpose(np.argsort(transpose))
