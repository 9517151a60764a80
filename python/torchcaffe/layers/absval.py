"""AbsVal."""

from __future__ import annotations

import torch

from torchcaffe.layers.base import Blobs
from torchcaffe.layers.elementwise import Elementwise


class AbsVal(Elementwise):
    """y = |x|, dx = sign(x) · dy (0 at 0). Not in place."""

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Check that it is not in place.

        Raises:
            CaffeError: it is.
        """
        self.refuse_in_place(bottom, top)

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.abs()

    def slope(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x.sign()
