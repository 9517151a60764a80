"""Attacks: one algorithm a file, on raw pixels 0..255, through Caffe's interface only.

``METHODS`` is the registry that ``python -m foolcaffe.fool --method`` reads: one line a method.
"""

from __future__ import annotations

from foolcaffe.attacks.base import Attack, Budget, Certificate, Criterion, Result
from foolcaffe.attacks.deepfool import deepfool
from foolcaffe.attacks.exact import exact
from foolcaffe.attacks.gradient import gradient
from foolcaffe.attacks.iterated import iterated
from foolcaffe.attacks.lbfgs import lbfgs
from foolcaffe.attacks.local import local
from foolcaffe.attacks.nes import nes
from foolcaffe.attacks.numeric import numeric
from foolcaffe.attacks.sign import sign
from foolcaffe.attacks.spsa import spsa
from foolcaffe.attacks.square import square
from foolcaffe.errors import FoolCaffeError, nearest

METHODS: dict[str, Attack] = {
    "gradient": gradient,
    "sign": sign,
    "exact": exact,
    "iterated": iterated,
    "lbfgs": lbfgs,
    "deepfool": deepfool,
    "numeric": numeric,
    "nes": nes,
    "spsa": spsa,
    "local": local,
    "square": square,
}


def method(name: str) -> Attack:
    """The attack called ``name``.

    Raises:
        FoolCaffeError: unknown, with the known ones and the nearest.
    """
    if name not in METHODS:
        raise FoolCaffeError(f"unknown method {name!r}", nearest(name, METHODS) or f"methods: {', '.join(METHODS)}")
    return METHODS[name]


__all__ = ["METHODS", "Attack", "Budget", "Certificate", "Criterion", "Result", "method"]
