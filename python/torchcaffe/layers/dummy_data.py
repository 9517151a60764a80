"""DummyData: tops filled by fillers."""

from __future__ import annotations

import torch

from caffefiles.proto import caffe_pb2
from torchcaffe import common, fillers
from torchcaffe.layers.base import Blobs, SourceLayer


class DummyData(SourceLayer):
    """Tops of given ``shape`` (or old num, channels, height, width), filled by ``data_filler``, constant 0 by default.

    One shape and filler serves all tops, or each has its own. Constants are filled once, others at every forward.
    """

    min_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Shape the tops and fill the constant ones.

        Raises:
            CaffeError: the numbers of shapes or fillers fit neither one nor every top.
        """
        param = self.param.dummy_data_param
        legacy = list(zip(param.num, param.channels, param.height, param.width))
        if legacy and len({len(param.num), len(param.channels), len(param.height), len(param.width)}) > 1:
            raise self.fail("dummy_data_param needs as many num as channels, height and width")
        shapes = legacy or [tuple(shape.dim) for shape in param.shape]
        fill = list(param.data_filler) or [caffe_pb2.FillerParameter(type="constant", value=0)]
        for values, what in ((shapes, "shape"), (fill, "data_filler")):
            if len(values) not in (1, len(top)):
                raise self.fail(
                    f"{len(values)} dummy_data_param.{what} for {len(top)} tops", "give one, or one for each top"
                )
        self._fillers = fill if len(fill) > 1 else fill * len(top)
        for blob, shape in zip(top, shapes if len(shapes) > 1 else shapes * len(top)):
            blob.reshape(*shape)
        self._fill(top, constant=True)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Draw anew what is drawn."""
        self._fill(top, constant=False)

    def _fill(self, top: Blobs, constant: bool) -> None:
        for blob, filler in zip(top, self._fillers):
            if (filler.type == "constant") == constant:
                blob.data.copy_(torch.from_numpy(fillers.fill(blob.shape, filler, common.generator())))
