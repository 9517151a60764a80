"""Szegedy's attack: box-constrained L-BFGS on distance and loss together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from foolcaffe.attacks.base import MARGIN, Result
from foolcaffe.attacks.ray import shorten
from foolcaffe.attacks.search import Search, attack

WEIGHTS = 10
"""Weights c of the distance that are tried, by bisection of their logarithm."""


@attack("l2")
def lbfgs(search: Search, *, steps: int = 40) -> Result:
    """Minimise ``c ‖δ‖² − log p_target(start + δ)`` in the box, for the largest c whose image fools.

    Szegedy et al. 2014, section 4.1: "minimum c > 0 for which the minimizer r satisfies f(x + r) = l"; their c weighs
    ‖r‖, a larger one means a smaller change.

    Differs from the paper in: ‖δ‖² instead of ‖δ‖, which is smooth at the start; untargeted too, where the best other
    class's score less the label's takes the place of log p; at last a shorter way to the image found is looked for.

    Args:
        steps: L-BFGS iterations for each c.

    Raises:
        FoolCaffeError: an all-zero gradient; or as :class:`Search`.
    """
    criterion, shape = search.criterion, search.base.shape
    box = list(zip(search.low.reshape(-1).tolist(), search.high.reshape(-1).tolist()))
    base = search.base.reshape(-1).astype(np.float64)

    def attempt(c: float) -> bool:
        before = search.found

        def objective(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            delta = flat - base
            probabilities, gradients = search.ascent(flat.reshape(1, *shape).astype(np.float32))
            own = float(np.log(max(float(probabilities[0, criterion.sought]), 1e-38)))
            gain = own if criterion.target is not None else float(criterion.margins(probabilities)[0])
            return c * float(delta @ delta) - gain, 2 * c * delta - gradients.reshape(-1).astype(np.float64)

        end = minimize(
            objective, base, jac=True, method="L-BFGS-B", bounds=box, options={"maxiter": steps, "maxfun": 2 * steps}
        )
        met = bool(criterion.met(search.look(end.x.reshape(1, *shape).astype(np.float32)), MARGIN)[0])
        return met or (search.found or np.inf) < (before or np.inf)

    with search:
        # c that makes a change of one grey level everywhere cost as much as one nat, and four decades either way
        low, high = np.log(1e-4 / base.size), np.log(1e4 / base.size)
        if not attempt(float(np.exp(low))):
            low -= np.log(1e4)
            attempt(float(np.exp(low)))
        for _ in range(WEIGHTS):
            middle = (low + high) / 2
            low, high = (middle, high) if attempt(float(np.exp(middle))) else (low, middle)
        shorten(search)
    return search.result()
