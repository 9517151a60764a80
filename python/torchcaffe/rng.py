"""Caffe's random numbers, to the bit: one mt19937 on the CPU, read by Boost 1.74's distributions.

Sources: Caffe's ``util/math_functions.cpp`` (which distribution, in which precision), Boost.Random 1.74.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffefiles.errors import CaffeError
from torchcaffe import ziggurat

F32 = NDArray[np.float32]

_CHUNK = 1 << 20  # samples drawn at a time, so that memory stays small


class Generator:
    """An mt19937 as Boost seeds and reads it.

    Args:
        seed: 0..2³²−1 (larger and negative ones are taken modulo 2³², as C++ converts them); None takes one from the
            operating system.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._bits: Any = np.random.MT19937()
        # the reference seeding of mt19937, which NumPy's other constructor does not use
        self._bits._legacy_seeding((secrets.randbits(32) if seed is None else seed) & 0xFFFFFFFF)

    def raw(self, count: int) -> NDArray[np.uint32]:
        """The next ``count`` 32-bit draws."""
        return np.asarray(self._bits.random_raw(count)).astype(np.uint32)

    def draw(self) -> int:
        """The next 32-bit draw, Caffe's ``caffe_rng_rand``."""
        return int(self._bits.random_raw())

    def uniform(self, count: int, low: float, high: float) -> F32:
        """``count`` float32 draws from [low, high], Caffe's ``caffe_rng_uniform``.

        Raises:
            CaffeError: low > high.
        """
        a, b = np.float32(low), np.float32(high)
        if not a <= b:
            raise CaffeError(f"a uniform range from {a} to {b} is empty", "min must not exceed max")
        b = np.nextafter(b, np.float32(np.finfo(np.float32).max))
        parts, left = [], count
        while left:
            values = self.raw(min(left, _CHUNK)).astype(np.float32) / np.float32(2**32) * (b - a) + a
            values = values[values < b]  # Boost draws again for those; the order of the others stays
            parts.append(values)
            left -= len(values)
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def gaussian(self, count: int, mean: float, std: float) -> F32:
        """``count`` float32 draws of N(mean, std²), Caffe's ``caffe_rng_gaussian``.

        Raises:
            CaffeError: std is not positive.
        """
        if not std > 0:
            raise CaffeError(f"a gaussian's std of {std} is not positive", "give a std above 0, or the constant filler")
        parts, left = [], count
        while left:
            state = self._bits.state
            values, used = ziggurat.normal(self.raw(min(left, _CHUNK) * 33 // 32 + 4096), min(left, _CHUNK))
            self._bits.state = state
            self._bits.random_raw(used, output=False)
            parts.append(values)
            left -= len(values)
        unit = np.concatenate(parts) if parts else np.empty(0, np.float32)
        unit *= np.float32(std)
        unit += np.float32(mean)
        return unit

    def bernoulli(self, count: int, probability: float, dtype: type = np.float64) -> NDArray[np.bool_]:
        """``count`` draws that are true with ``probability``, Caffe's ``caffe_rng_bernoulli``.

        Args:
            count: how many.
            probability: in [0, 1].
            dtype: the type that Caffe compares in: double for dropout, float for the sparse filler.

        Raises:
            CaffeError: the probability is outside [0, 1].
        """
        if not 0 <= probability <= 1:
            raise CaffeError(f"{probability} is no probability", "it must lie in 0..1")
        if dtype(probability) == 0:
            return np.zeros(count, np.bool_)  # Boost draws nothing then
        result: NDArray[np.bool_] = self.raw(count).astype(dtype) <= dtype(probability) * dtype(2**32 - 1)
        return result
