"""PReLU. Source: He et al. (2015), section 2.1."""

from __future__ import annotations

import torch
from torch.nn import functional

from caffefiles.proto import caffe_pb2
from torchcaffe.layers.base import Blobs
from torchcaffe.layers.function import FunctionLayer


class PReLU(FunctionLayer):
    """y = max(x, 0) + a · min(x, 0); dx = dy where x > 0, else a · dy; da = Σ dy · min(x, 0). In place or not.

    Blob: a, one for each channel (axis 1), or a scalar if ``channel_shared``; ``filler``, 0.25 if unset.

    Differs from Caffe in: takes more than four axes, where Caffe aborts.
    """

    exact_num_bottom = 1
    exact_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Make a.

        Raises:
            CaffeError: the bottom has no channels.
        """
        param = self.param.prelu_param
        if bottom[0].num_axes < 2:
            raise self.fail(f"a bottom of shape {bottom[0].shape} has no channels (axis 1)")
        filler = param.filler if param.HasField("filler") else caffe_pb2.FillerParameter(type="constant", value=0.25)
        self.init_blobs((() if param.channel_shared else (bottom[0].shape[1],), filler))

    def function(self, *inputs: torch.Tensor) -> torch.Tensor:
        return functional.prelu(inputs[0], inputs[1].reshape(-1))
