"""Parameter: a learnt blob as a top."""

from __future__ import annotations

from caffefiles.proto import caffe_pb2
from torchcaffe.layers.base import Blobs, Flags, Layer


class Parameter(Layer):
    """The top is the blob, data and diff: one memory. Of ``parameter_param.shape``, zero at first.

    A reader's gradient overwrites the blob's diff instead of adding to it, as in Caffe.
    """

    exact_num_bottom = 0
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        self.init_blobs((tuple(self.param.parameter_param.shape.dim), caffe_pb2.FillerParameter()))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The blob's shape and memory."""
        top[0].reshape_like(self.blobs[0])
        top[0].share_data(self.blobs[0])
        top[0].share_diff(self.blobs[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Nothing to copy."""

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Nothing to copy."""
