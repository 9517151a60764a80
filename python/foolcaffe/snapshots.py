"""Snapshots: which is the latest that is whole. Caffe writes them in place, so a kill can leave half of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from caffefiles.caffemodel import check_weights, read_weights
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_binary
from foolcaffe.errors import FoolCaffeError


@dataclass(frozen=True)
class Snapshot:
    """``iteration`` and the two files of it."""

    iteration: int
    state: Path
    weights: Path


def latest(prefix: Path) -> tuple[Snapshot | None, list[str]]:
    """The latest whole snapshot of ``<prefix>_iter_N``, and what is wrong with those after it.

    Returns:
        The snapshot, or None; and a line for each later one that cannot be used.
    """
    found: list[tuple[int, Path]] = []
    for state in prefix.parent.glob(f"{prefix.name}_iter_*.solverstate"):
        if match := re.fullmatch(re.escape(prefix.name) + r"_iter_(\d+)\.solverstate", state.name):
            found.append((int(match.group(1)), state))
    problems: list[str] = []
    for iteration, state in sorted(found, reverse=True):
        weights = state.with_suffix(".caffemodel")
        problem = _problem(iteration, state, weights)
        if not problem:
            return Snapshot(iteration, state, weights), problems
        problems.append(problem)
    return None, problems


def _problem(iteration: int, state: Path, weights: Path) -> str:
    try:
        message = read_binary(state, caffe_pb2.SolverState(), "solverstate")
    except FoolCaffeError as error:
        return error.message
    if message.iter != iteration or not message.history:
        return f"{state} is damaged: it says iteration {message.iter} and holds {len(message.history)} histories"
    try:
        check_weights(read_weights(weights, "`make train` trains one"), weights)
    except FoolCaffeError as error:
        return error.message
    return ""
