"""Every solver type, a line each."""

from __future__ import annotations

from typing import Any

from caffefiles.errors import CaffeError, nearest
from caffefiles.files import PathLike
from caffefiles.prototxt import read_solver
from torchcaffe.solvers.adadelta import AdaDeltaSolver
from torchcaffe.solvers.adagrad import AdaGradSolver
from torchcaffe.solvers.adam import AdamSolver
from torchcaffe.solvers.base import Solver
from torchcaffe.solvers.nesterov import NesterovSolver
from torchcaffe.solvers.rmsprop import RMSPropSolver
from torchcaffe.solvers.sgd import SGDSolver

SOLVERS: dict[str, type[Solver]] = {
    "SGD": SGDSolver,
    "Nesterov": NesterovSolver,
    "AdaGrad": AdaGradSolver,
    "RMSProp": RMSPropSolver,
    "AdaDelta": AdaDeltaSolver,
    "Adam": AdamSolver,
}


def get_solver(path: PathLike, **net_options: Any) -> Solver:
    """The solver of a prototxt.

    Raises:
        CaffeError: the file, the solver's type or a net is wrong.
    """
    return make_solver(read_solver(path), path, **net_options)


def make_solver(param: Any, path: PathLike = "<solver>", **net_options: Any) -> Solver:
    """The solver of an upgraded SolverParameter.

    Raises:
        CaffeError: its type or a net is wrong.
    """
    if param.type not in SOLVERS:
        known = f"known: {', '.join(sorted(SOLVERS))}"
        raise CaffeError(f"{path}: unknown solver type {param.type!r}", nearest(param.type, SOLVERS) or known)
    return SOLVERS[param.type](param, path, **net_options)
