"""Layers and nets on the device beside what real Caffe gave on a CPU, stored in ``tests/parity/goldens``.

Real Caffe is not needed. An error is the largest |ours − Caffe's| / max(1, largest |Caffe's|) of an array, over all
blobs, gradients, parameters and their gradients of a case, with float32 products. On a CPU the tests allow a case
2e-6 or what it says; another device may sum in another order and is allowed ten times that.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from typing import Any

import numpy as np
import zoo

import parity
from gpucheck.runner import Context
from torchcaffe import common

SLACK = 10
"""How many times a case's tolerance on the CPU is allowed here."""
NET_TOLERANCE = {"data": 5e-4, "param": 5e-4, "diff": 2e-2, "param_diff": 2e-2}
"""Of the norm of a whole net's array, as in tests/parity/test_zoo.py: gradients are of nets whose ReLUs may flip."""
_DRAWN = re.compile(r'type: "Dropout"|STOCHASTIC')


def run(context: Context) -> str:
    """Every case and some whole nets; the cases on the machine's CPU, too."""
    sides = ["cuda", "cpu"] if context.device == "cuda" else ["cpu"]
    for side in sides:
        _use(side)
        context.note(**{side: _cases(context, side)})
    _use(context.device)
    context.note(nets=_nets(context))
    ours = context.notes[context.device]
    beyond = [name for name, net in context.notes["nets"].items() if not net["within"]]
    if ours["beyond"] or ours["failed"] or beyond:
        raise ValueError(
            f"{len(ours['beyond'])} of {ours['compared']} cases are beyond {SLACK} times their tolerance, "
            f"{len(ours['failed'])} failed, nets beyond theirs: {beyond or 'none'}"
        )
    said = [f"{context.notes[side]['worst']:.2g} on {side}" for side in sides]
    return (
        f"{ours['compared']} cases within {SLACK} times the CPU's tolerance ({ours['strict']} within it), worst error "
        f"{', '.join(said)}; {len(context.notes['nets'])} whole nets; {ours['drawn']} not compared: drawn on the device"
    )


def _use(side: str) -> None:
    common.set_mode_gpu() if side == "cuda" else common.set_mode_cpu()


def _cases(context: Context, side: str) -> dict[str, Any]:
    found: dict[str, Any] = {"compared": 0, "strict": 0, "drawn": 0, "worst": 0.0, "types": {}, "beyond": {}}
    found["failed"] = {}
    for file, cases in parity.load_cases().items():
        for name, case in list(cases.items())[: context.sizes.cases]:
            if side != "cpu" and case.phase == "TRAIN" and _DRAWN.search(case.net):
                found["drawn"] += 1
                continue
            try:
                error, times = _error(case, parity.run_case(case), parity.golden_case(file, name))
            except Exception as problem:  # a layer that the device cannot compute is a finding
                found["failed"][f"{file}/{name}"] = f"{type(problem).__name__}: {problem}"[:300]
                continue
            found["compared"] += 1
            found["strict"] += times <= 1
            found["worst"] = max(found["worst"], error)
            if not times <= SLACK:
                found["beyond"][f"{file}/{name}"] = {"error": error, "times_tolerance": times}
            for kind in set(re.findall(r'type: "([A-Z]\w+)"', case.net)):
                found["types"][kind] = max(found["types"].get(kind, 0.0), error)
    return found


def _error(case: Any, ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[float, float]:
    """The worst error of a case, and the worst in units of its tolerance."""
    if json.loads(str(ours["structure"])) != json.loads(str(theirs["structure"])):
        raise ValueError("the net is built in another way than in real Caffe")
    param = case.forward_tol if case.forwards > 1 else 0.0  # running statistics; else what the host wrote
    tolerances = {"data": case.forward_tol, "loss": case.forward_tol, "diff": case.backward_tol, "param": param}
    ignored = {f"{side}/{name}" for name in case.ignore for side in ("data", "diff")}
    worst = times = 0.0
    for name in set(theirs) - ignored - {"structure"}:
        error = parity.difference(ours[name], theirs[name])
        tolerance = tolerances.get(name.split("/")[0], case.param_tol)
        worst = max(worst, error)
        times = max(times, error / tolerance if tolerance else 0.0 if error == 0 else math.inf)
    return worst, times


def _nets(context: Context) -> dict[str, Any]:
    found = {}
    for name, phase in context.sizes.zoo_parity:
        stored = json.loads(gzip.decompress((parity.HERE / "goldens" / "zoo" / f"{name}.json.gz").read_bytes()))[phase]
        ours = zoo.summary(name, phase)
        worst: dict[str, float] = {}
        for key, (norm, projection) in stored["arrays"].items():
            far = np.abs(np.subtract(ours["arrays"][key], (norm, projection))).max() / max(norm, 1e-12)
            side = key.split("/")[0]
            worst[side] = max(worst.get(side, 0.0), float(far))
        loss = abs(ours["loss"] - stored["loss"]) / stored["loss"]
        within = loss <= 1e-3 and all(far <= NET_TOLERANCE[side] for side, far in worst.items())
        found[f"{name}, {phase}"] = {"loss": loss, "within": within, **worst}
        context.note(nets=found)
    return found
