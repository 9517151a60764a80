"""Attacks: one algorithm a file, on raw pixels 0..255, through Caffe's interface only.

``METHODS`` is the registry that ``python -m foolcaffe.fool --method`` reads: one line a method.
"""

from __future__ import annotations

from foolcaffe.attacks.base import Attack, Criterion, Result
from foolcaffe.attacks.exact import exact
from foolcaffe.attacks.gradient import gradient
from foolcaffe.attacks.sign import sign
from foolcaffe.errors import FoolCaffeError, nearest

METHODS: dict[str, Attack] = {
    "gradient": gradient,
    "sign": sign,
    "exact": exact,
}


def method(name: str) -> Attack:
    """The attack called ``name``.

    Raises:
        FoolCaffeError: unknown, with the known ones and the nearest.
    """
    if name not in METHODS:
        raise FoolCaffeError(f"unknown method {name!r}", nearest(name, METHODS) or f"methods: {', '.join(METHODS)}")
    return METHODS[name]


__all__ = ["METHODS", "Attack", "Criterion", "Result", "method"]
