"""The orders in which Caffe shuffles. Sources: ``util/rng.hpp``, Boost.Random 1.74, libstdc++, glibc."""

from __future__ import annotations

from typing import Any, Callable

from torchcaffe.rng import Generator

_WORD = 2**32


def below(generator: Generator, count: int) -> int:
    """A draw from 0..count − 1, as Boost's uniform_int makes it of 32-bit draws.

    Args:
        generator: what is drawn from.
        count: 1..2³².
    """
    if count <= 1:
        return 0
    bucket = (_WORD - 1) // count + (1 if (_WORD - 1) % count == count - 1 else 0)
    while True:
        result = generator.draw() // bucket
        if result < count:
            return result


def shuffle(items: list[Any], generator: Generator) -> None:
    """Shuffle in place as ``caffe::shuffle`` does."""
    for i in range(len(items) - 1, 0, -1):
        j = below(generator, i + 1)
        items[i], items[j] = items[j], items[i]


class CRand:
    """The C library's ``rand()`` of glibc, as an unseeded process finds it: additive feedback over 31 words."""

    def __init__(self) -> None:
        state = [1]
        for _ in range(30):  # the minimal standard generator, by signed remainders
            state.append(16807 * state[-1] % 2147483647)
        self._state = state
        self._next = 3
        for _ in range(310):
            self.draw()

    def draw(self) -> int:
        """The next number, 0..2³¹ − 1."""
        i = self._next
        self._state[i] = (self._state[i] + self._state[i - 3]) % _WORD
        self._next = (i + 1) % 31
        return self._state[i] >> 1


def random_shuffle(items: list[Any], rand: Callable[[], int]) -> None:
    """Shuffle in place as ``std::random_shuffle`` does with libstdc++."""
    for i in range(1, len(items)):
        j = rand() % (i + 1)
        items[i], items[j] = items[j], items[i]


c_rand = CRand()
"""The process's: Caffe's HDF5Data shuffles with it, whatever random_seed says."""
