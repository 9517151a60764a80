"""The learning rate at an iteration, in Caffe's precision. Source: ``sgd_solver.cpp`` (GetLearningRate)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffefiles.errors import CaffeError, nearest

POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")


def learning_rate(param: Any, iteration: int, current_step: int) -> tuple[float, int]:
    """The rate, a float32 value, and the step that the policy is in.

    Args:
        param: the SolverParameter.
        iteration: from 0.
        current_step: as returned by the last call (0 at first); multistep advances it by at most one a call.

    Raises:
        CaffeError: the policy is unknown or lacks what it needs.
    """
    _check(param)
    base, gamma, power = np.float32(param.base_lr), float(np.float32(param.gamma)), float(np.float32(param.power))
    policy = param.lr_policy
    if policy == "fixed":
        rate: Any = base
    elif policy == "step":
        current_step = iteration // param.stepsize
        rate = float(base) * math.pow(gamma, current_step)
    elif policy == "exp":
        rate = float(base) * math.pow(gamma, iteration)
    elif policy == "multistep":
        if current_step < len(param.stepvalue) and iteration >= param.stepvalue[current_step]:
            current_step += 1
        rate = float(base) * math.pow(gamma, current_step)
    elif policy == "inv":
        inner = np.float32(1) + np.float32(gamma) * np.float32(iteration)
        rate = base * np.float32(math.pow(float(inner), -power))
    elif policy == "poly":
        inner = np.float32(1) - np.float32(iteration) / np.float32(param.max_iter)
        rate = base * np.float32(math.pow(float(inner), power))
    else:
        inner = np.float32(-gamma) * (np.float32(iteration) - np.float32(param.stepsize))
        with np.errstate(over="ignore"):
            rate = base * (np.float32(1) / (np.float32(1) + np.exp(np.float64(inner)).astype(np.float32)))
    return float(np.float32(rate)), current_step


def _check(param: Any) -> None:
    policy = param.lr_policy
    if policy not in POLICIES:
        known = nearest(policy, POLICIES) or f"known: {', '.join(POLICIES)}"
        raise CaffeError(f"unknown lr_policy {policy!r}", known)
    if policy not in ("fixed", "poly") and param.gamma < 0:
        raise CaffeError(f"lr_policy {policy!r}: gamma {param.gamma:g} is negative")
    if policy in ("step", "sigmoid") and param.stepsize < 1:
        raise CaffeError(f"lr_policy {policy!r} needs a stepsize of at least 1")
    if policy == "poly" and param.max_iter < 1:
        raise CaffeError("lr_policy 'poly' needs a max_iter of at least 1")
