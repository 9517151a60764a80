"""The weight rows of a linear net as small integers, so that a page can hold them and compute with them exactly.

A row w becomes whole numbers q and a unit u with w ≈ u·q. A number q is a high byte and a residual, q = R·high + low,
where R is 254 for residuals of 8 bits and 14 for residuals of 4 bits. Products of q with 8-bit pixels are whole numbers
far below 2⁵³, so the page's sums are exact, and the only error is that of w ≈ u·q. It is bounded here, rigorously.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foolcaffe.classifier import Classifier

CENTRE = 127.5
"""The grey level around which the error is bounded: its part at this level is moved into the offsets."""
STEPS = {8: 254, 4: 14}
"""R, by the residual's bits."""


@dataclass(frozen=True)
class PackedRows:
    """K weight rows of D = height × width × 3 numbers, in RGB order, pixel by pixel.

    Attributes:
        high: K × D, int8.
        low: K × D, int8: −127..127 for residuals of 8 bits, −7..7 for 4.
        units: K: w ≈ units · (R·high + low).
        offsets: K, the scores of the black image, corrected by the error at the grey level :data:`CENTRE`.
        error_l1, error_l2: K, norms of w − units·q: the score of an image x is wrong by at most the smaller of
            error_l1 · max|x − CENTRE| and error_l2 · ‖x − CENTRE‖.
        residual_bits: 8 or 4.
    """

    high: npt.NDArray[np.int8]
    low: npt.NDArray[np.int8]
    units: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    error_l1: npt.NDArray[np.float64]
    error_l2: npt.NDArray[np.float64]
    residual_bits: int

    def whole(self) -> npt.NDArray[np.int64]:
        """q, K × D."""
        return STEPS[self.residual_bits] * self.high.astype(np.int64) + self.low

    def scores(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """The K scores that the page computes for an image, height × width × 3."""
        return np.asarray(self.units * (self.whole() @ rgb.reshape(-1).astype(np.int64)) + self.offsets)

    def parts(self) -> list[bytes]:
        """One part a class: its high bytes, then its residuals; two of 4 bits share a byte, the first its low half."""
        if self.residual_bits == 8:
            return [high.tobytes() + low.tobytes() for high, low in zip(self.high, self.low)]
        nibbles = (self.low & 15).astype(np.uint8)
        if nibbles.shape[1] % 2:
            nibbles = np.pad(nibbles, ((0, 0), (0, 1)))
        pairs = nibbles[:, ::2] | (nibbles[:, 1::2] << 4)
        return [high.tobytes() + pair.tobytes() for high, pair in zip(self.high, pairs)]

    def description(self) -> dict[str, Any]:
        """What the page needs to read the parts."""
        return {
            "residual_bits": self.residual_bits,
            "step": STEPS[self.residual_bits],
            "units": self.units.tolist(),
            "offsets": self.offsets.tolist(),
            "error_l1": self.error_l1.tolist(),
            "error_l2": self.error_l2.tolist(),
        }


def pack(net: Classifier, residual_bits: int = 8) -> PackedRows:
    """Pack the rows of a linear net.

    Raises:
        FoolCaffeError: the net is not linear.
    """
    bgr = net.score_weights()
    rows = np.ascontiguousarray(bgr.transpose(0, 2, 3, 1)[..., ::-1]).reshape(net.classes, -1).astype(np.float64)
    step = STEPS[residual_bits]
    scale = np.maximum(np.abs(rows).max(axis=1), 1e-300) / 127
    high = np.rint(rows / scale[:, None])
    units = scale / step
    low = np.clip(np.rint((rows - scale[:, None] * high) / units[:, None]), -(step // 2), step // 2)
    error = rows - units[:, None] * (step * high + low)
    return PackedRows(
        high.astype(np.int8),
        low.astype(np.int8),
        units,
        net.score_offsets() + CENTRE * error.sum(axis=1),
        np.abs(error).sum(axis=1),
        np.linalg.norm(error, axis=1),
        residual_bits,
    )
