"""One fooling image: attacked, written, read back, judged, and put on record."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caffefiles.files import sha256, write_json
from foolcaffe import engine
from foolcaffe.attacks import METHODS, Budget, Criterion, Result
from foolcaffe.attacks import run as attack
from foolcaffe.classifier import Classifier
from foolcaffe.errors import FoolCaffeError
from foolcaffe.figures import FoolingRow, percent, template_image, top
from foolcaffe.images import write_png
from foolcaffe.starts import Start
from foolcaffe.trained import TrainedModel
from foolcaffe.verify import Verdict, verify


@dataclass(frozen=True)
class Setup:
    """What the fooling images of one command have in common.

    Attributes:
        model, net: the trained model, and its classifier.
        start: where every attack begins.
        before: the start's probabilities, one for each class.
        method_name, options, seed: the attack, its options, and the seed of its draws.
    """

    model: TrainedModel
    net: Classifier
    start: Start
    before: npt.NDArray[np.float32]
    method_name: str
    options: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class Fooled:
    """A fooling image: the attack's result, the verdict on the PNG at ``png``, and the criterion that it meets."""

    png: Path
    result: Result
    verdict: Verdict
    criterion: Criterion

    @property
    def reached(self) -> int:
        """The class that was reached: the target, or the best class after an untargeted attack."""
        return int(self.verdict.probabilities.argmax()) if self.criterion.target is None else self.criterion.target


def fool(setup: Setup, criterion: Criterion, png: Path, budget: Budget | None = None) -> Fooled:
    """Attack, write the PNG, and verify it from disk. A PNG that does not fool is not left behind.

    Raises:
        FoolCaffeError: the start is of the class already, the criterion was not reached, or the method refuses.
    """
    net, start, method_name = setup.net, setup.start.image, setup.method_name
    criterion.check(net.classes)
    if bool(criterion.met(net.probabilities(start.to_bgr()))[0]):
        raise FoolCaffeError(
            "the start is what you want already: there is nothing to fool",
            "choose another class, another start, or a higher --confidence",
        )
    result = attack(method_name, net, start, criterion, seed=setup.seed, budget=budget, **setup.options)
    if not result.success["image"]:
        goal = "best class" if criterion.confidence is None else f"confidence {criterion.confidence:g}"
        goal = "another best class" if criterion.target is None else goal
        eps = setup.options.get("eps")
        within = f"within 0..255{'' if eps is None else f' and {eps:g} grey levels of the start'}"
        raise FoolCaffeError(
            f"not reached {within} by {method_name}: {goal}; "
            f"the highest confidence in the class was {percent(result.best)}, after {result.queries} queries"
            + (f"\n    {result.note}" if result.note else ""),
            "ask for less (--confidence, --flip), begin with another image, or try another --method: "
            + ", ".join(m for m in METHODS if m != method_name),
        )
    with tempfile.TemporaryDirectory(prefix=".fool.", dir=png.parent) as aside:
        trial = Path(aside) / png.name
        write_png(trial, result.image)
        verdict = verify(net, trial, start, criterion)
        if not verdict.fooled:
            raise FoolCaffeError(
                f"the PNG read back from disk does not fool ({png}): this is a fault of FoolCaffe, please report it"
            )
        trial.replace(png)
    return Fooled(png, result, verdict, criterion)


def save(setup: Setup, fooled: Fooled) -> dict[str, Any]:
    """Write the perturbation, amplified, and the JSON record beside a fooling PNG.

    Returns:
        The record; norms in grey levels 0..255, measured on the PNG.
    """
    png, result, verdict, criterion = fooled.png, fooled.result, fooled.verdict, fooled.criterion
    delta = result.image.to_bgr().array - result.start.to_bgr().array
    amplified = 127.0 / max(float(np.abs(delta).max()), 1.0)
    write_png(png.with_name(f"{png.stem}-perturbation.png"), template_image(delta, 127.5 / amplified))
    synsets = setup.model.synsets()

    def best(probabilities: npt.NDArray[np.float32]) -> list[dict[str, Any]]:
        return [
            {"id": i, "wnid": synsets[i].wnid, "name": name, "confidence": p}
            for i, name, p in top(probabilities, synsets)
        ]

    target = synsets[fooled.reached]
    proved = result.certificate
    kind: Any = "flip" if criterion.confidence is None else {"confidence": criterion.confidence}
    record = {
        "target": {"id": target.id, "wnid": target.wnid, "name": target.name},
        "criterion": kind if criterion.target is not None else {"not": synsets[criterion.sought].name},
        "start": setup.start.description,
        "before": best(setup.before),
        "after": best(verdict.probabilities),
        "confidence_before": float(setup.before[target.id]),
        "confidence_after": float(verdict.probabilities[target.id]),
        "l2": verdict.distances.l2,
        "linf": verdict.distances.linf,
        "mean_abs": verdict.distances.mean,
        "perturbation_amplified": amplified,
        "method": setup.method_name,
        "options": dict(setup.options),
        "factor": result.factor,
        "steps": result.steps,
        "queries": result.queries,
        "queries_to_first_success": result.first,
        "seed": setup.seed,
        "success": result.success,
        **({"certificate": asdict(proved)} if proved else {}),
        "verified": verdict.fooled,
        "engine": engine.name(),
        "model": str(setup.model.folder),
        "sha256": {
            "start": hashlib.sha256(result.start.array.tobytes()).hexdigest(),
            **_hashes(setup.model),
            "png": sha256(png),
        },
        "trajectory": [[f, c] for f, c in result.trajectory],
    }
    write_json(png.with_suffix(".json"), record)
    return record


@lru_cache(maxsize=1)
def _hashes(model: TrainedModel) -> dict[str, str]:
    """Return the hashes of the model's files, which do not change while a command runs."""
    mean = {"mean": sha256(model.mean)} if model.mean else {}
    return {"weights": sha256(model.weights), "deploy": sha256(model.deploy), **mean}


def summary(record: Mapping[str, Any], png: Path) -> str:
    """A record in a few lines."""
    first, target = record["before"][0], record["target"]["name"]
    lines = [
        f"before  {first['name']} {percent(first['confidence'])}, {target} {percent(record['confidence_before'])}",
        f"after   {target} {percent(record['confidence_after'])}, verified on the PNG",
        f"change  mean {record['mean_abs']:.2f}, largest {record['linf']:.0f} grey levels of 255, "
        f"L2 {record['l2']:.1f}",
        f"cost    {record['queries']:,} images scored",
    ]
    proved = record.get("certificate")
    if proved:
        norm = {"l2": "L2", "linf": "L∞"}[proved["norm"]]
        lines.append(
            f"proved  no 8-bit image nearer than {norm} {proved['png']:.4g} fools, "
            f"none of real numbers nearer than {proved['floats']:.4g}"
        )
    return "\n".join([*lines, f"written {png}"])


def row(setup: Setup, fooled: Fooled) -> FoolingRow:
    """Return a row of the post's figure."""
    result, verdict, synsets = fooled.result, fooled.verdict, setup.model.synsets()
    targeted = fooled.criterion.target is not None
    side = "towards" if targeted else "away from"
    name = synsets[fooled.criterion.sought].name
    template = f"{name} {'template' if setup.net.linear else 'gradient'}"
    named = {"gradient": template if targeted else f"minus the {template}", "sign": f"sign {side} {name}"}
    return FoolingRow(
        result,
        named.get(setup.method_name, "change"),
        before=top(setup.before, synsets),
        after=top(verdict.probabilities, synsets),
        target=fooled.reached,
    )
