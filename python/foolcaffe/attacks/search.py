"""The common part of a search: what may be tried, what was seen, what was best, when to end."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from foolcaffe.attacks.base import (
    MARGIN,
    NORMS,
    Attack,
    Budget,
    Criterion,
    Floats,
    Gradients,
    Result,
    Scores,
    judge,
    norm_of,
)
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import BgrPixels, Rgb8

BOUNDS = (0.0, 255.0)


class Spent(Exception):
    """The budget is spent. Ends the ``with search:`` block, and is seen nowhere else."""


class Search:
    """Everything that an attack looks at goes through here, is rounded to 8 bits first, and is remembered.

    ``with search:`` ends quietly when the budget is spent; ``search.result()`` gives the nearest success, or the
    candidate that came nearest to one.

    Attributes:
        base: the start, float32 BGR.
        low, high: what pixels may be: ``bounds``, and within ``eps`` of the start for L∞.
        steps: to be counted up by the attack.

    Raises:
        FoolCaffeError: another size than the net's, a class out of range, bounds outside 0..255 or not around the
            start, a negative eps, an unknown norm.
    """

    def __init__(
        self,
        net: Scores,
        start: Rgb8,
        criterion: Criterion,
        *,
        eps: float | None = None,
        norm: str = "l2",
        bounds: tuple[float, float] = BOUNDS,
        budget: Budget | None = None,
    ) -> None:
        if start.size != tuple(net.shape[1:]):
            raise FoolCaffeError(
                f"the start is {start.size[0]} × {start.size[1]} pixels, the net takes {net.shape[1]} × {net.shape[2]}"
            )
        if norm not in NORMS:
            raise FoolCaffeError(f"unknown norm {norm!r}", f"norms: {', '.join(NORMS)}")
        if eps is not None and not 0 <= eps < np.inf:
            raise FoolCaffeError(f"eps {eps} is out of range", "expected grey levels, 0 or more")
        criterion.check(net.classes)
        self.net, self.start, self.criterion, self.norm, self.eps = net, start, criterion, norm, eps
        self.bounds = bounds
        self.base = start.to_bgr().array
        if not 0 <= bounds[0] < bounds[1] <= 255:
            raise FoolCaffeError(
                f"bounds {bounds[0]:g}..{bounds[1]:g} are no range of grey levels", "expected 0 ≤ low < high ≤ 255"
            )
        if not (bounds[0] <= self.base.min() and self.base.max() <= bounds[1]):
            raise FoolCaffeError(
                f"the start has grey levels {self.base.min():g}..{self.base.max():g}, outside the bounds "
                f"{bounds[0]:g}..{bounds[1]:g}"
            )
        reach = np.inf if eps is None or norm == "l2" else eps
        self.low = np.maximum(np.ceil(bounds[0]), self.base - reach).astype(np.float32)
        self.high = np.minimum(np.floor(bounds[1]), self.base + reach).astype(np.float32)
        self.budget = budget or Budget()
        self.steps, self.note = 0, ""
        self.trajectory: list[tuple[float, float]] = []
        self.best = 0.0
        self.first: int | None = None
        self._queries, self._began = net.queries, time.monotonic()
        self._found: tuple[float, Floats, Floats] | None = None
        self._nearest: tuple[float, Floats, Floats] = (-np.inf, self.base, self.base)

    def __enter__(self) -> Search:
        return self

    def __exit__(self, kind: object, *_: object) -> bool:
        return kind is Spent

    @property
    def found(self) -> float | None:
        """The norm of the nearest 8-bit success so far."""
        return None if self._found is None else self._found[0]

    @property
    def nearest_raw(self) -> Floats | None:
        """The raw image of that success."""
        return None if self._found is None else self._found[1]

    @property
    def queries(self) -> int:
        """Images scored so far for this search."""
        return self.net.queries - self._queries

    @property
    def gradients(self) -> Gradients:
        """The net, for what it gives beyond scores.

        Raises:
            FoolCaffeError: it gives scores only.
        """
        if not hasattr(self.net, "data_gradients"):
            raise FoolCaffeError(
                f"{type(self.net).__name__} gives scores and no gradient",
                "a method that needs only scores: numeric, nes, spsa, local, square or evolve",
            )
        return cast(Gradients, self.net)

    def spend(self, images: int) -> None:
        """Say that so many images are about to be scored.

        Raises:
            Spent: they exceed the budget.
        """
        if self.budget.queries is not None and self.queries + images > self.budget.queries:
            self.note = f"the budget of {self.budget.queries} queries was spent"
        elif self.budget.seconds is not None and time.monotonic() - self._began > self.budget.seconds:
            self.note = f"the budget of {self.budget.seconds:g} s was spent"
        else:
            if self.budget.tell is not None:
                self.budget.tell(self.queries, self.best)
            return
        raise Spent

    def project(self, raw: Floats) -> Floats:
        """Into bounds and eps: N × 3 × height × width."""
        out = np.clip(raw, self.low, self.high)
        if self.norm == "l2" and self.eps is not None:
            delta = out - self.base
            size = norm_of(delta, "l2")
            shrink = np.minimum(1.0, self.eps / np.maximum(size, 1e-12))
            out = self.base + delta * shrink[:, None, None, None].astype(np.float32)
        return np.asarray(out, np.float32)

    def levels(self, raw: Floats) -> Floats:
        """The 8-bit images of projected raw ones, whole grey levels, within bounds and eps still.

        Rounding can carry an image out of an L2 ball; then the changes that were rounded up furthest are cut back.
        """
        raw = self.project(raw)
        whole = np.clip(np.rint(raw), np.ceil(self.low), np.floor(self.high))
        if self.norm == "l2" and self.eps is not None:
            for i in np.flatnonzero(norm_of(whole - self.base, "l2") > self.eps):
                whole[i] = self.base + _within(raw[i] - self.base, whole[i] - self.base, self.eps)
        return np.asarray(whole, np.float32)

    def look(self, raw: Floats) -> Floats:
        """Probabilities of the 8-bit images of N raw ones: N × classes; the best are remembered.

        Raises:
            Spent: the budget does not allow it.
        """
        self.spend(len(raw))
        levels = self.levels(raw)
        probabilities = self.net.probabilities(levels)
        self.remember(raw, levels, probabilities)
        return probabilities

    def remember(self, raw: Floats, levels: Floats, probabilities: Floats) -> None:
        """Keep the nearest of the 8-bit images that meet the criterion, and the one that comes nearest to it."""
        confidences = self.criterion.confidences(probabilities)
        top = float(confidences.max(initial=0.0))
        self.trajectory.append((float(self.steps), top))
        self.best = max(self.best, top)
        met = np.flatnonzero(self.criterion.met(probabilities, MARGIN))
        if len(met):
            self.first = self.first or self.queries
            sizes = norm_of(levels[met] - self.base, self.norm)
            i = int(sizes.argmin())
            if self._found is None or sizes[i] < self._found[0]:
                self._found = (float(sizes[i]), raw[met[i]].copy(), levels[met[i]])
        elif self._found is None:
            margins = self.criterion.margins(probabilities)
            i = int(margins.argmax())
            if margins[i] > self._nearest[0]:
                self._nearest = (float(margins[i]), raw[i].copy(), levels[i])

    def ascent(self, raw: Floats) -> tuple[Floats, Floats]:
        """Probabilities at N raw images, and the gradient there of what :meth:`Criterion.score_diffs` raises.

        Raises:
            Spent: the budget does not allow it.
            FoolCaffeError: a gradient that is not finite, or zero everywhere for every image.
        """
        self.spend(2 * len(raw))
        probabilities = self.net.probabilities(raw)
        gradients = self.gradients.data_gradients(raw, self.criterion.score_diffs(probabilities))
        self.steps += 1
        self.check_gradient(gradients)
        return probabilities, gradients

    def check_gradient(self, gradients: Floats) -> None:
        """Check gradients.

        Raises:
            FoolCaffeError: they are not finite, or zero everywhere before anything was found.
        """
        if not np.isfinite(gradients).all():
            raise FoolCaffeError("the data gradient is not finite", "are the weights those of a diverged training?")
        if not gradients.any() and self.found is None and self.steps <= 1:
            raise FoolCaffeError(
                "the data gradient is zero everywhere: there is no direction to go in",
                "a constant net, or a saturated softmax; for a deploy net of your own see force_backward",
            )

    def result(self, note: str = "", last: Floats | None = None) -> Result:
        """The nearest success as an 8-bit image; without one, the candidate that came nearest, and success false.

        Args:
            note: why it ended.
            last: this raw image instead, whether a success or not.
        """
        _, raw, levels = self._found or self._nearest
        if last is not None:
            raw, levels = last, self.levels(last[None])[0]
        queries = self.queries
        pixels = BgrPixels(np.ascontiguousarray(raw, dtype=np.float32))
        image = BgrPixels(np.ascontiguousarray(levels, dtype=np.float32)).to_rgb8()
        return Result(
            start=self.start,
            raw=pixels,
            image=image,
            success=judge(self.net, pixels, self.criterion, image),
            steps=self.steps,
            queries=queries,
            first=self.first,
            trajectory=self.trajectory,
            best=self.best,
            note=note or self.note,
        )


def _within(wanted: Floats, whole: Floats, eps: float) -> Floats:
    """Whole changes cut back until their L2 norm is at most eps, those rounded away from zero furthest first.

    All of them cut back are no longer than ``wanted`` was, so it always ends.
    """
    flat, out = wanted.reshape(-1).astype(np.float64), whole.reshape(-1).astype(np.float64)
    up = np.flatnonzero(np.abs(out) > np.abs(flat))
    up = up[np.argsort(-(np.abs(out[up]) - np.abs(flat[up])), kind="stable")]
    saved = np.cumsum(2 * np.abs(out[up]) - 1)  # δ² − (|δ| − 1)²
    needed = int(np.searchsorted(saved, float(out @ out) - eps * eps)) + 1
    cut = up[:needed]
    out[cut] -= np.sign(out[cut])
    return np.asarray(out.reshape(whole.shape), np.float32)


def attack(*norms: str) -> Callable[[Callable[..., Result]], Attack]:
    """Make an :data:`~foolcaffe.attacks.base.Attack` of a function that takes a :class:`Search` and its own options.

    Args:
        norms: that the function can work in: of two, the caller chooses (``norm``; the first is the default); one is
            fixed; without any, the function takes no ``eps`` either.
    """

    def decorate(function: Callable[..., Result]) -> Attack:
        own = list(inspect.signature(function).parameters.values())[1:]
        defaults: dict[str, Any] = {"bounds": BOUNDS, "budget": None, "seed": 0}
        if norms:
            defaults["eps"] = None
        if len(norms) > 1:
            defaults["norm"] = norms[0]
        names = {parameter.name for parameter in own if parameter.name != "seed"}
        positional = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in _TAKEN]
        keywords = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=defaults[key]) for key in defaults]
        signature = inspect.Signature([*positional, *(p for p in own if p.name in names), *keywords])

        @functools.wraps(function)
        def run(*arguments: Any, **options: Any) -> Result:
            given = signature.bind(*arguments, **options)
            given.apply_defaults()
            values = given.arguments
            common = {key: values[key] for key in ("eps", "bounds", "budget") if key in values}
            search = Search(*(values[name] for name in _TAKEN), norm=values.get("norm", (*norms, "l2")[0]), **common)
            return function(search, **{parameter.name: values[parameter.name] for parameter in own})

        run.__signature__ = signature  # type: ignore[attr-defined]  # what help() and options_of show
        return run

    return decorate


_TAKEN = ("net", "start", "criterion")
