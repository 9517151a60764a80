"""Boost 1.74's float normal distribution over a stream of 32-bit draws, vectorized.

Marsaglia and Tsang, "The Ziggurat Method for Generating Random Variables", Journal of Statistical Software 5(8), 2000:
128 layers of equal area for the half normal, 256 for the exponential that its tail is drawn from. A draw u gives the
layer, the sign and r = (u >> 8)·2⁻²⁴; nearly always x = r·x[layer] is already below x[layer + 1] and done.
"""

from __future__ import annotations

import decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

U32 = NDArray[np.uint32]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_NORMAL_EDGE = "3.4426198558966521214"  # where the tail begins: the last of 128 layers then ends at f = 1
_NORMAL_BASE = "3.7130862467403632609"  # area of a layer / f(edge)
_EXPONENTIAL_EDGE = "7.6971174701310497140"
_MARGIN = 512  # draws that a slow sample may need; the chance of more is far below 10⁻⁵⁰


def _table(layers: int, edge: str, base: str, normal: bool) -> tuple[F64, F64]:
    """Widths x[0..layers] and heights f(x) of the layers, rounded once from 40 digits."""
    with decimal.localcontext() as context:
        context.prec = 40
        x = [decimal.Decimal(base), decimal.Decimal(edge)]
        y = [decimal.Decimal(0), (-x[1] * x[1] / 2 if normal else -x[1]).exp()]
        area = x[0] * y[1]
        for _ in range(layers - 2):
            y.append(y[-1] + area / x[-1])
            log = -y[-1].ln()
            x.append((2 * log).sqrt() if normal else log)
        x.append(decimal.Decimal(0))
        y.append(decimal.Decimal(1))
    return np.array([float(v) for v in x]), np.array([float(v) for v in y])


@lru_cache(maxsize=1)
def _normal_table() -> tuple[F64, F64]:
    return _table(128, _NORMAL_EDGE, _NORMAL_BASE, normal=True)


@lru_cache(maxsize=1)
def _exponential_table() -> tuple[F64, F64]:
    edge = decimal.Decimal(_EXPONENTIAL_EDGE)
    return _table(256, _EXPONENTIAL_EDGE, str(edge + 1), normal=False)


def normal(draws: U32, count: int) -> tuple[F32, int]:
    """Standard normal samples from the head of ``draws``.

    Args:
        draws: uint32 draws of an mt19937.
        count: samples wanted.

    Returns:
        at most ``count`` samples (fewer if the draws ran out), and how many draws they took.
    """
    wide_x, wide_y = _normal_table()
    x_of, y_of = wide_x.astype(np.float32), wide_y.astype(np.float32)
    layer = (draws & np.uint32(255)) >> np.uint32(1)
    x = (draws >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24) * x_of[layer]
    sign = (draws & np.uint32(1)).astype(np.float32) * np.float32(2) - np.float32(1)
    keep = x.astype(np.float64) < wide_x[layer + 1]
    values = x * sign

    slow = np.flatnonzero(~keep[: max(len(draws) - _MARGIN, 0)])
    limit = len(draws) - _MARGIN
    i = layer[slow]
    y01 = draws[slow + 1].astype(np.float32) * np.float32(2.0**-32)
    accepted = _below_curve(x[slow], y01, i, wide_x, wide_y, x_of, y_of)
    # the tail (layer 0), and a uniform draw that rounds to 1 and is drawn again, are rare enough to go one by one
    odd = (i == 0) | (y01 >= 1)
    free = 0  # the first draw that no slow sample has taken
    for p, good, special in zip(slow.tolist(), accepted.tolist(), odd.tolist()):
        if p < free:
            continue
        if not special:
            free = p + 2
            if good:
                keep[p + 1] = True
                values[p + 1] = values[p]
            else:
                keep[p + 1] = False
        elif layer[p] == 0:
            free, tail = _tail(draws, p + 1)
            keep[p:free] = False
            keep[free - 1] = True
            values[free - 1] = tail * sign[p]
        else:
            free = p + 2
            while draws[free - 1].astype(np.float32) * np.float32(2.0**-32) >= 1:
                free += 1
            again = draws[free - 1 : free].astype(np.float32) * np.float32(2.0**-32)
            good = _below_curve(x[p : p + 1], again, layer[p : p + 1], wide_x, wide_y, x_of, y_of)[0]
            keep[p:free] = False
            keep[free - 1] = good
            values[free - 1] = values[p]
    kept = np.flatnonzero(keep[: max(limit, 0)])[:count]
    return values[kept], int(kept[-1]) + 1 if len(kept) else 0


def _below_curve(x: F32, y01: F32, i: U32, wide_x: F64, wide_y: F64, x_of: F32, y_of: F32) -> NDArray[np.bool_]:
    """Is the point (x, y01 of the way up layer i) under the curve? In Boost's order of float operations."""
    y = y_of[i] + y01 * (wide_y[i + 1] - wide_y[i]).astype(np.float32)
    chord = (wide_x[i] - wide_x[i + 1]).astype(np.float32) * y01 - (x_of[i] - x)
    tangent = y - (y_of[i] + (x_of[i] - x) * y_of[i] * x_of[i])
    convex = wide_x[i] >= 1
    above_upper = np.where(convex, chord, tangent)
    above_lower = np.where(convex, tangent, chord)
    curve = np.exp((-(x * x / np.float32(2))).astype(np.float64)).astype(np.float32)
    result: NDArray[np.bool_] = (above_upper < 0) & ((above_lower < 0) | (y < curve))
    return result


def _tail(draws: U32, position: int) -> tuple[int, np.float32]:
    """A sample beyond the outermost layer, and the position after the draws it took."""
    start = np.float32(_normal_table()[0][1])
    while True:
        position, x = _exponential(draws, position)
        x = x / start
        position, y = _exponential(draws, position)
        if np.float32(2) * y > x * x:
            return position, x + start


def _exponential(draws: U32, position: int) -> tuple[int, np.float32]:
    """A unit exponential sample, and the position after the draws it took."""
    wide_x, wide_y = _exponential_table()
    shift = np.float32(0)
    while True:
        u = int(draws[position])
        position += 1
        i = u & 255
        x = np.float32(u >> 8) * np.float32(2.0**-24) * np.float32(wide_x[i])
        if x < np.float32(wide_x[i + 1]):
            return position, shift + x
        if i == 0:
            shift = shift + np.float32(wide_x[1])
            continue
        y01 = np.float32(1)
        while y01 >= 1:
            y01 = np.float32(draws[position]) * np.float32(2.0**-32)
            position += 1
        y = np.float32(wide_y[i]) + y01 * np.float32(wide_y[i + 1] - wide_y[i])
        chord = np.float32(wide_x[i] - wide_x[i + 1]) * y01 - (np.float32(wide_x[i]) - x)
        top = np.float32(wide_y[i + 1])
        tangent = y - (top + (np.float32(wide_x[i + 1]) - x) * top)
        if chord < 0 and (tangent < 0 or y < np.float32(np.exp(-float(x)))):
            return position, x + shift
