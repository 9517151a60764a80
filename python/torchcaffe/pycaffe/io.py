"""Images and blobs to and from arrays. Source: ``io.py``; resizing is scikit-image's, as there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffefiles.errors import optional
from caffefiles.files import PathLike
from caffefiles.proto import caffe_pb2 as caffe_pb2
from torchcaffe.pycaffe.errors import CaffeRuntimeError, CaffeValueError

Array = NDArray[Any]


# -- protos ------------------------------------------------------------------------------------------------------------


def blobproto_to_array(blob: Any, return_diff: bool = False) -> Array:
    """A BlobProto's values (or gradient), float64, in its shape.

    Raises:
        ValueError: the values do not fill the shape.
    """
    stored: Any = (blob.double_diff or blob.diff) if return_diff else (blob.double_data or blob.data)
    values = np.array(stored, np.float64)
    legacy = any(blob.HasField(name) for name in ("num", "channels", "height", "width"))
    shape = (blob.num, blob.channels, blob.height, blob.width) if legacy else tuple(blob.shape.dim)
    return _shaped(values, shape, "BlobProto")


def _shaped(values: Array, shape: tuple[int, ...], what: str) -> Array:
    try:
        return values.reshape(shape)
    except ValueError:
        raise CaffeValueError(f"a {what} of shape {shape} holds {values.size} values", "it is damaged") from None


def array_to_blobproto(arr: Any, diff: Any = None) -> Any:
    """A BlobProto of an array's shape and values, and of a gradient if given."""
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(np.shape(arr))
    blob.data.extend(np.asarray(arr).astype(float).ravel())
    if diff is not None:
        blob.diff.extend(np.asarray(diff).astype(float).ravel())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Sequence[Any]) -> bytes:
    """Several arrays as a serialized BlobProtoVector."""
    vector = caffe_pb2.BlobProtoVector()
    vector.blobs.extend([array_to_blobproto(arr) for arr in arraylist])
    return bytes(vector.SerializeToString())


def blobprotovector_str_to_arraylist(str: bytes) -> list[Array]:
    """The arrays of a serialized BlobProtoVector.

    Raises:
        CaffeError: the bytes are not a BlobProtoVector.
    """
    from caffefiles.prototxt import parse_binary

    vector = parse_binary(str, caffe_pb2.BlobProtoVector(), "the BlobProtoVector")
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: Any, label: int | None = None) -> Any:
    """A Datum of an array, channels × height × width: bytes if uint8, else floats.

    Raises:
        ValueError: the array does not have three axes.
    """
    arr = np.asarray(arr)
    if arr.ndim != 3:
        raise CaffeValueError(f"Incorrect array shape {arr.shape}.", "channels × height × width was expected")
    datum = caffe_pb2.Datum(channels=arr.shape[0], height=arr.shape[1], width=arr.shape[2])
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).ravel())
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: Any) -> Array:
    """A Datum's pixels, channels × height × width: uint8, or float64 where it holds floats.

    Raises:
        ValueError: it holds an encoded image, or other than its shape says.
    """
    if datum.encoded:
        raise CaffeValueError("this Datum holds an encoded image", "decode datum.data (cv2.imdecode, PIL) instead")
    values: Array = np.frombuffer(datum.data, np.uint8).copy() if datum.data else np.array(datum.float_data, np.float64)
    return _shaped(values, (datum.channels, datum.height, datum.width), "Datum")


# -- images ------------------------------------------------------------------------------------------------------------


def load_image(filename: PathLike, color: bool = True, as_grey: bool = False) -> NDArray[np.float32]:
    """An image as float32, 0..1, height × width × 3 (R, G, B), or × 1 in grey; transparency is dropped.

    Args:
        filename: the file.
        color: as R, G, B, even if it is grey.
        as_grey: the older name of ``color=False``.

    Raises:
        CaffeError: there is no such file, or it is no image (also a RuntimeError).
    """
    color_of, util = (optional(f"skimage.{m}", "reading images", "scikit-image") for m in ("color", "util"))
    Image = optional("PIL.Image", "reading images", "pillow")
    if not os.path.isfile(filename):  # noqa: PTH113 - bytes are allowed
        raise CaffeRuntimeError(f"there is no image {os.fspath(filename)!r}")
    try:
        with Image.open(filename) as file:
            plain = {"1": "L", "P": "RGBA" if "transparency" in file.info else "RGB", "CMYK": "RGB", "YCbCr": "RGB"}
            pixels = np.asarray(file.convert(plain[file.mode]) if file.mode in plain else file)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CaffeRuntimeError(f"{os.fspath(filename)!r} cannot be read as an image: {error}") from None
    image = np.asarray(util.img_as_float(pixels), np.float32)
    if image.ndim == 3 and image.shape[2] in (2, 4):
        image = image[:, :, : image.shape[2] - 1]
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    grey = as_grey or not color
    if image.ndim == 3 and grey:
        image = np.asarray(color_of.rgb2gray(image), np.float32)
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
        image = image if grey else np.tile(image, (1, 1, 3))
    return np.ascontiguousarray(image)


def resize_image(im: Any, new_dims: Sequence[int], interp_order: int = 1) -> NDArray[np.float32]:
    """Resize height × width × K to ``new_dims`` (height, width), float32.

    One or three channels go through scikit-image's resize (which smooths before it shrinks), others through SciPy's
    zoom.

    Args:
        im: the image, of any range.
        new_dims: height, width.
        interp_order: 0 nearest, 1 linear, …
    """
    im = np.asarray(im)
    if im.shape[-1] in (1, 3):
        resize = optional("skimage.transform", "resizing images", "scikit-image").resize
        low, high = im.min(), im.max()
        if not high > low:
            return np.full((int(new_dims[0]), int(new_dims[1]), im.shape[-1]), low, np.float32)
        unit = resize((im - low) / (high - low), new_dims, order=interp_order, mode="constant")
        return np.asarray(unit * (high - low) + low, np.float32)
    zoom = optional("scipy.ndimage", "resizing images", "scipy").zoom
    if im.ndim != 3:
        raise CaffeRuntimeError(f"an image of shape {im.shape} cannot be resized", "height × width × K was expected")
    scale = (*np.array(new_dims, float) / np.array(im.shape[:2]), 1)
    return np.asarray(zoom(im, scale, order=interp_order), np.float32)


def oversample(images: Any, crop_dims: Any) -> NDArray[np.float32]:
    """Ten crops of each image: the corners, the centre, and their mirror images.

    Args:
        images: images, height × width × K, of one size.
        crop_dims: height, width.

    Returns:
        float32, 10·N × height × width × K.
    """
    size, (height, width) = np.array(np.shape(images[0])[:2]), (int(n) for n in crop_dims)
    if height > size[0] or width > size[1]:
        raise CaffeValueError(f"crops of {height} × {width} do not fit images of {size[0]} × {size[1]}")
    centre = (int(size[0] / 2.0 - height / 2.0), int(size[1] / 2.0 - width / 2.0))
    corners = [(y, x) for y in (0, int(size[0]) - height) for x in (0, int(size[1]) - width)]
    crops = []
    for image in images:
        five = [np.asarray(image)[y : y + height, x : x + width] for y, x in (*corners, centre)]
        crops += five + [crop[:, ::-1] for crop in five]
    return np.array(crops, np.float32)


class Transformer:
    """What turns images into a net's inputs: resize, transpose, channel swap, raw scale, mean, input scale, in order.

    Differs from Caffe in: ``preprocess`` never writes into the array that it is given.

    Args:
        inputs: the shape of each input: ``{"data": net.blobs["data"].data.shape}``.
    """

    def __init__(self, inputs: dict[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}

    def _check(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise CaffeValueError(f"{in_} is not one of the net inputs: {self.inputs}")

    def preprocess(self, in_: str, data: Any) -> NDArray[np.float32]:
        """An image (height × width × K) as the input (K × height × width), float32.

        Raises:
            ValueError: there is no such input.
        """
        self._check(in_)
        image = np.array(data, np.float32)
        size = tuple(self.inputs[in_][2:])
        if image.shape[:2] != size:
            image = resize_image(image, size)
        if self.transpose.get(in_) is not None:
            image = image.transpose(self.transpose[in_])
        if self.channel_swap.get(in_) is not None:
            image = image[list(self.channel_swap[in_]), :, :]
        if self.raw_scale.get(in_) is not None:
            image = image * np.float32(self.raw_scale[in_])
        if self.mean.get(in_) is not None:
            image = (image - self.mean[in_]).astype(np.float32)
        if self.input_scale.get(in_) is not None:
            image = image * np.float32(self.input_scale[in_])
        return image

    def deprocess(self, in_: str, data: Any) -> Array:
        """The image that an input was made of, less the resizing."""
        self._check(in_)
        image = np.array(data).squeeze()
        if self.input_scale.get(in_) is not None:
            image = image / self.input_scale[in_]
        if self.mean.get(in_) is not None:
            image = image + self.mean[in_]
        if self.raw_scale.get(in_) is not None:
            image = image / self.raw_scale[in_]
        if self.channel_swap.get(in_) is not None:
            image = image[np.argsort(self.channel_swap[in_]), :, :]
        if self.transpose.get(in_) is not None:
            image = image.transpose(np.argsort(self.transpose[in_]))
        return image

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """The order of the axes: (2, 0, 1) makes height × width × K into K × height × width."""
        self._check(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise CaffeValueError("Transpose order needs to have the same number of dimensions as the input.")
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """The order of the channels: (2, 1, 0) makes R, G, B into B, G, R."""
        self._check(in_)
        if len(order) != self.inputs[in_][1]:
            raise CaffeValueError("Channel swap needs to have the same number of dimensions as the input channels.")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """A factor applied before the mean: 255 for images in 0..1."""
        self._check(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Any) -> None:
        """What is subtracted: a value for each channel, or an image K × height × width (resized if need be)."""
        self._check(in_)
        mean, shape = np.asarray(mean), tuple(self.inputs[in_])
        if mean.ndim == 1:
            if len(mean) != shape[1]:
                raise CaffeValueError("Mean channels incompatible with input.", f"{len(mean)} for {shape[1]} channels")
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            if mean.ndim == 2:
                mean = mean[np.newaxis]
            if mean.ndim != 3:
                raise CaffeValueError("Mean shape invalid", f"it is {mean.shape}")
            if mean.shape != shape[1:]:
                if mean.shape[0] != shape[1]:
                    raise CaffeValueError(
                        "Mean channels incompatible with input.", f"{mean.shape[0]} for {shape[1]} channels"
                    )
                mean = resize_image(mean.transpose(1, 2, 0), shape[2:]).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """A factor applied after the mean."""
        self._check(in_)
        self.input_scale[in_] = scale
