"""Input: tops that the user fills."""

from __future__ import annotations

from torchcaffe.layers.base import Blobs, SourceLayer


class Input(SourceLayer):
    """Tops of the shapes ``input_param.shape`` (one for each top, or one for all); forward leaves them alone."""

    min_num_top = 1

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Shape the tops.

        Raises:
            CaffeError: the number of shapes is neither 0, 1 nor that of the tops.
        """
        shapes = self.param.input_param.shape
        if len(shapes) not in (0, 1, len(top)):
            raise self.fail(
                f"{len(shapes)} input_param.shape for {len(top)} tops", "give none, one, or one for each top"
            )
        for i, blob in enumerate(top):
            if shapes:
                blob.reshape(*shapes[i if len(shapes) > 1 else 0].dim)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """The user fills."""
