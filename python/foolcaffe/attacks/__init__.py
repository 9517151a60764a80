"""Attacks: one algorithm a file, on raw pixels 0..255, through Caffe's interface only.

``METHODS`` is the registry that ``python -m foolcaffe.fool --method`` reads: one line a method.
"""

from __future__ import annotations

import inspect
from typing import Any

from foolcaffe.attacks.base import Attack, Budget, Certificate, Criterion, Result
from foolcaffe.attacks.deepfool import deepfool
from foolcaffe.attacks.evolve import evolve
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
from foolcaffe.attacks.visualise import visualise
from foolcaffe.errors import FoolCaffeError, nearest
from foolcaffe.images import Rgb8

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
    "visualise": visualise,
    "evolve": evolve,
}


def method(name: str) -> Attack:
    """The attack called ``name``.

    Raises:
        FoolCaffeError: unknown, with the known ones and the nearest.
    """
    if name not in METHODS:
        raise FoolCaffeError(f"unknown method {name!r}", nearest(name, METHODS) or f"methods: {', '.join(METHODS)}")
    return METHODS[name]


def options_of(name: str) -> list[str]:
    """The keywords that a method takes: ``eps``, ``norm``, ``steps``, …"""
    return [p.name for p in inspect.signature(method(name)).parameters.values() if p.kind is p.KEYWORD_ONLY]


def run(name: str, net: Any, start: Rgb8, criterion: Criterion, *, seed: int = 0, **options: Any) -> Result:
    """Run a method by name; options that are None are left to its defaults.

    Raises:
        FoolCaffeError: an unknown method, an option that it does not take, or what it raises itself.
    """
    known = options_of(name)
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in known:
            raise FoolCaffeError(f"{name} takes no {key}", f"it takes: {', '.join(known)}")
    return method(name)(net, start, criterion, seed=seed, **given)


__all__ = ["METHODS", "Attack", "Budget", "Certificate", "Criterion", "Result", "method", "options_of", "run"]
