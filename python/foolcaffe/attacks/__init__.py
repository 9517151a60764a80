"""Attacks: one algorithm a file, on raw pixels 0..255, through Caffe's interface only.

``METHODS`` is the registry that ``python -m foolcaffe.fool --method`` reads: one line a method.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from foolcaffe.attacks.base import Attack, Budget, Certificate, Criterion, Result
from foolcaffe.attacks.deepfool import deepfool
from foolcaffe.attacks.evolve import evolve
from foolcaffe.attacks.exact import exact
from foolcaffe.attacks.gradient import gradient, sign
from foolcaffe.attacks.iterated import iterated
from foolcaffe.attacks.lbfgs import lbfgs
from foolcaffe.attacks.local import local
from foolcaffe.attacks.nes import nes, spsa
from foolcaffe.attacks.numeric import numeric
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


def read_option(name: str, text: str) -> tuple[str, Any]:
    """``restarts=5`` as a keyword of a method and its value, of the kind that the method's default has.

    Raises:
        FoolCaffeError: not NAME=VALUE, a keyword that the method does not take or that has an option of its own, or a
            value of another kind.
    """
    key, equals, value = text.partition("=")
    parameters = inspect.signature(method(name)).parameters
    own = [p for p in options_of(name) if p not in ("budget", "bounds", "seed")]
    if not equals or key not in own:
        raise FoolCaffeError(f"{text!r} sets nothing of {name}", f"NAME=VALUE was expected, NAME of: {', '.join(own)}")
    kind = type(parameters[key].default)
    kind = float if kind is type(None) else kind
    try:
        return key, kind(value)
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}[kind]
        raise FoolCaffeError(f"{text!r}: {key} is {wanted}", f"the default is {parameters[key].default}") from None


AT_LEAST = {"steps": 1, "restarts": 1, "block": 1, "samples": 2, "jitter": 0, "seed": 0}
POSITIVE = ("step_size", "sigma", "delta")


def checked(name: str, options: Mapping[str, Any]) -> None:
    """Check a method's options.

    Raises:
        FoolCaffeError: the method does not take an option, or its value is out of range.
    """
    known = options_of(name)
    for key, value in options.items():
        if key not in known:
            raise FoolCaffeError(f"{name} takes no {key}", f"it takes: {', '.join(known)}")
        if key in AT_LEAST and not value >= AT_LEAST[key]:
            raise FoolCaffeError(f"{key} {value} is out of range", f"expected {AT_LEAST[key]} or more")
        if key in POSITIVE and not 0 < value < float("inf"):
            raise FoolCaffeError(f"{key} {value:g} is out of range", "expected more than 0")


def run(name: str, net: Any, start: Rgb8, criterion: Criterion, *, seed: int = 0, **options: Any) -> Result:
    """Run a method by name; options that are None are left to its defaults.

    Raises:
        FoolCaffeError: an unknown method, an option that it does not take or that is out of range, or what it raises
            itself.
    """
    given = {key: value for key, value in options.items() if value is not None}
    checked(name, {**given, "seed": seed})
    return method(name)(net, start, criterion, seed=seed, **given)


__all__ = [
    "METHODS",
    "Attack",
    "Budget",
    "Certificate",
    "Criterion",
    "Result",
    "method",
    "options_of",
    "read_option",
    "run",
]
