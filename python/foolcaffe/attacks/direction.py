"""How far along a direction found on one image another one is fooled.

"The direction of perturbation, not the point itself matters most": if that is so, a direction from image A is nearly as
good for image B as B's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foolcaffe.attacks.base import Budget, Criterion, Result, Scores
from foolcaffe.attacks.ray import along_ray
from foolcaffe.attacks.search import Search
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import Rgb8


@dataclass(frozen=True)
class Transfer:
    """A direction from A, tried on B.

    Attributes:
        own: the L2 norm of B's own perturbation.
        borrowed: the L2 norm along A's direction that fools B; infinite if none does.
        cosine: between the two perturbations.
        result: of B along A's direction.
    """

    own: float
    borrowed: float
    cosine: float
    result: Result

    @property
    def ratio(self) -> float:
        """How many times farther the borrowed direction has to go."""
        return self.borrowed / self.own if self.own > 0 else np.inf


def direction(
    net: Scores, found: Result, start: Rgb8, own: Result, criterion: Criterion, *, budget: Budget | None = None
) -> Transfer:
    """Go from ``start`` along the perturbation ``found`` on another image until the criterion is met.

    Args:
        net: the classifier.
        found: an attack's result on image A.
        start: image B.
        own: an attack's result on B.
        criterion: B's.
        budget: when to end in any case.

    Raises:
        FoolCaffeError: one of the results has no perturbation.
    """
    a = found.raw.array - found.start.to_bgr().array
    b = own.raw.array - own.start.to_bgr().array
    if not a.any() or not b.any():
        raise FoolCaffeError(
            "a result without a perturbation gives no direction", "its start may meet the criterion already"
        )
    result = along_ray(Search(net, start, criterion, budget=budget), lambda: a)
    cosine = float((a.astype(np.float64) * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))
    return Transfer(own.distances.l2, result.distances.l2 if result.success["image"] else np.inf, cosine, result)
