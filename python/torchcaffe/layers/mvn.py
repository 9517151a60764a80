"""MVN: mean and variance normalization of each image."""

from __future__ import annotations

from torchcaffe.layers.base import Blobs, Flags, Layer


class MVN(Layer):
    """y = (x − mean) / (√var + ``eps``), or x − mean without ``normalize_variance``. In place or not.

    Over each plane of N × C × H × W, or each image if ``across_channels``; missing axes are 1, in the top, too.
    dx = (dy − mean dy − y · mean(dy · y)) / (√var + eps), or dy − mean dy.

    Differs from Caffe in: in place the gradient is the true one, while Caffe overwrites dy before it has read it.
    """

    exact_num_bottom = 1
    exact_num_top = 1

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """N × C × H × W.

        Raises:
            CaffeError: more than four axes.
        """
        shape = [bottom[0].legacy_dim(i) for i in range(4)]
        rows = shape[0] if self.param.mvn_param.across_channels else shape[0] * shape[1]
        self._rows = (rows, bottom[0].count // max(rows, 1))
        top[0].reshape(*shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the deviations for backward."""
        param, x = self.param.mvn_param, bottom[0].data.view(self._rows)
        y = x - x.mean(1, keepdim=True)
        if param.normalize_variance:
            self._deviation = y.square().mean(1, keepdim=True).sqrt_().add_(param.eps)
            y.div_(self._deviation)
        top[0].data.view(self._rows).copy_(y)

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """The formula above, with y as the top now holds it."""
        if not propagate_down[0]:
            return
        dy, y = top[0].diff.view(self._rows), top[0].data.view(self._rows)
        dx = dy - dy.mean(1, keepdim=True)
        if self.param.mvn_param.normalize_variance:
            dx.sub_(y * (dy * y).mean(1, keepdim=True)).div_(self._deviation)
        bottom[0].diff.view(self._rows).copy_(dx)
