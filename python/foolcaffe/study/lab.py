"""What parts work with: models trained when first asked for, steps that are remembered, figures and tables."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from PIL import Image

from caffefiles.files import atomic_path, write_json, write_text
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_text, save_text
from foolcaffe import engine, gpu
from foolcaffe.caffelog import TrainLog, parse
from foolcaffe.engine import MODELS
from foolcaffe.errors import FoolCaffeError
from foolcaffe.render import Overrides, find_model, render
from foolcaffe.study.closure import code_of
from foolcaffe.study.record import Cell, Figure, Table, jsonable
from foolcaffe.study.scale import Scale
from foolcaffe.study.views import identity, linked
from foolcaffe.style import save
from foolcaffe.train import RECORD, train
from foolcaffe.trained import TrainedModel, find_trained

CURVE = "curve.json"


@dataclass
class Bench:
    """What a part measures with: trained models, and steps that are remembered.

    Attributes:
        dataset: ``build/<dataset>``.
        root: ``build/<dataset>/study``: trained models, and a folder for each part.
        part: its name.
        scale: how much is measured.
        fingerprint: of the inputs: data, prototxts, scale, engine.
        gpu: ``auto``, ``cpu``, ``all`` or ids, for training.
        quiet: no progress.
        keys: of the steps that were asked for.
        fresh: how many of them were not known, and measured now.
    """

    dataset: Path
    root: Path
    part: str
    scale: Scale
    fingerprint: str
    gpu: str = "auto"
    quiet: bool = False
    keys: list[str] = field(default_factory=list)
    fresh: int = 0

    @property
    def folder(self) -> Path:
        """The part's own."""
        return self.root / self.part

    @property
    def view(self) -> Path:
        """The dataset as a folder in which the study's models are trained."""
        return linked(self.dataset, self.root / self.dataset.name)

    def say(self, text: str) -> None:
        """A line of progress."""
        if not self.quiet:
            print(f"{self.part}: {text}", file=sys.stderr, flush=True)

    def step(self, key: str, measure: Callable[..., Any], *arguments: float | str) -> Any:
        """Return what ``measure(self, *arguments)`` finds, or what it found before with the same inputs and code.

        Args:
            key: unique in the part, fit for a file name.
            measure: a function at the top level of a module; it trains its models and chooses its images itself, so
                that its code is all that its result depends on beside the inputs. It returns what JSON can hold; a
                number that JSON does not have becomes None.
            arguments: plain values, which belong to the key.

        Raises:
            ValueError: ``measure`` is nested or a lambda.
        """
        path = self.folder / "steps" / f"{key}.json"
        fingerprint = self.key_of(measure, *arguments)
        self.keys.append(f"{key} {fingerprint}")
        if path.exists():
            known = json.loads(path.read_text("utf-8"))
            if known["fingerprint"] == fingerprint:
                return known["value"]
        self.fresh += 1
        value = jsonable(measure(self, *arguments))
        write_json(path, {"fingerprint": fingerprint, "value": value})
        return value

    def key_of(self, measure: Callable[..., Any], *arguments: float | str) -> str:
        """Return a hash of all that a measurement depends on: the inputs, the arguments, the code that it uses."""
        return hashlib.sha256(f"{self.fingerprint} {code_of(measure)} {arguments!r}".encode()).hexdigest()

    def trained(
        self,
        name: str,
        overrides: Overrides,
        model: str = "linear_softmax",
        view: Path | None = None,
        side: int | None = None,
    ) -> TrainedModel:
        """A model, trained now unless it was; shared by all parts.

        Args:
            name: of its folder.
            overrides: of the model's solver and init.
            model: ``models/<name>``.
            view: the folder that plays the dataset (default: the dataset).
            side: of its images, if not the model's own.
        """
        folder = (view or self.view) / name
        wanted = _wanted(model, side, overrides, view or self.view)
        if self._known(folder, wanted) and (folder / RECORD).exists():
            return find_trained(str(folder))
        self._render(folder, wanted, overrides, model, side)
        self.say(f"training {folder.name}")
        if train(folder, self.gpu, quiet=True):
            raise KeyboardInterrupt
        for file in folder.glob("*_iter_*"):  # the finished weights are kept, what a resumed run would need is not
            if file.name != json.loads((folder / RECORD).read_text("utf-8"))["weights"]:
                file.unlink()
        return find_trained(str(folder))

    def curve(self, name: str, overrides: Overrides) -> dict[str, Any]:
        """Train to look at the loss, and keep the curve alone; a run that diverges is what was looked for, no failure.

        Returns:
            ``loss``: [[iteration, smoothed training loss or None], …]; ``tests``: [[iteration, {output: value}], …];
            ``diverged``; ``penalty``: ½·decay·Σw² of the final weights, ``norm``: their L2 norm, both None if diverged.
        """
        folder = self.view / "curves" / name
        wanted = {**_wanted("linear_softmax", None, overrides, self.view), "code": [code_of(parse), code_of(_curve)]}
        if self._known(folder, wanted) and (folder / CURVE).exists():
            known: dict[str, Any] = json.loads((folder / CURVE).read_text("utf-8"))
            return known
        linked(self.dataset, self.view / "curves")
        self._render(folder, wanted, overrides, "linear_softmax", None)
        solver = read_text(folder / "solver.prototxt", caffe_pb2.SolverParameter(), "SolverParameter")
        solver.display = max(1, solver.max_iter // 50)
        solver.test_interval = solver.max_iter  # the last one is what counts
        solver.test_initialization = False
        solver.average_loss = 1
        save_text(folder / "solver.prototxt", solver, "For a loss curve.")
        self.say(f"loss curve {name}")
        (folder / "train.log").unlink(missing_ok=True)
        failed = ""
        try:
            if train(folder, self.gpu, quiet=True):
                raise KeyboardInterrupt
        except FoolCaffeError as error:
            failed = error.message
        log = parse((folder / "train.log").read_text("utf-8", "replace").splitlines())
        if failed and not log.diverged:
            raise FoolCaffeError(f"{folder.name}: {failed}", f"the whole log is {folder / 'train.log'}")
        curve = _curve(folder, log, solver.weight_decay)
        for file in (*folder.glob("*_iter_*"), folder / RECORD, folder / "loss.png"):
            file.unlink(missing_ok=True)
        write_json(folder / CURVE, curve)
        return curve

    def _known(self, folder: Path, wanted: dict[str, Any]) -> bool:
        """Whether the folder is of the wanted run; if it is of another one, it is emptied."""
        path = folder / "wanted.json"
        if path.exists() and json.loads(path.read_text("utf-8")) == jsonable(wanted):
            return True
        shutil.rmtree(folder, ignore_errors=True)
        return False

    def _render(self, folder: Path, wanted: dict[str, Any], overrides: Overrides, model: str, side: int | None) -> None:
        if (folder / "wanted.json").exists():
            return  # interrupted: it goes on from its snapshot
        on_gpu = False
        if self.gpu != "cpu":
            on_gpu = bool(gpu.choose(engine.command("caffe"), self.gpu))
        folder.parent.mkdir(parents=True, exist_ok=True)
        render(find_model(model), folder.parent, folder, on_gpu, overrides)
        if side is not None:
            deploy = read_text(folder / "deploy.prototxt", caffe_pb2.NetParameter(), "NetParameter")
            shape = next(layer for layer in deploy.layer if layer.type == "Input").input_param.shape[0]
            shape.dim[2] = shape.dim[3] = side
            save_text(folder / "deploy.prototxt", deploy, f"For {side} × {side} pixels.")
        write_json(folder / "wanted.json", jsonable(wanted))

    def decayed(self, decay: float, seed: int) -> TrainedModel:
        """The post's model with a weight decay, fully trained."""
        return self.trained(
            f"decay{decay:g}-seed{seed}", Overrides(weight_decay=decay, seed=seed, max_iter=self.scale.iterations)
        )


@dataclass
class Lab(Bench):
    """One part's bench, and the figures and tables that it draws."""

    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def figure(
        self,
        name: str,
        canvas: Canvas | Callable[[Path], None],
        title: str,
        alt: str,
        n: str,
        seed: str,
        photos: bool = False,
    ) -> None:
        """Keep a figure: a matplotlib one whose axes are all labelled, or a function that writes a PNG.

        Raises:
            ValueError: axes without a label, or no n or seed.
        """
        if not n or not seed:
            raise ValueError(f"figure {name!r} says no n or no seed")
        path = self.folder / f"{name}.png"
        if isinstance(canvas, Canvas):
            for axes in canvas.axes:
                if axes.axison and axes.get_xticks().size and not (axes.get_xlabel() and axes.get_ylabel()):
                    raise ValueError(f"figure {name!r}: axes {axes.get_title()!r} have no label")
            save(canvas, path)
        else:
            canvas(path)
        with Image.open(path) as image:
            small = paletted(image.convert("RGB"))
        with atomic_path(path) as temporary:
            small.save(temporary, format="PNG", optimize=True)
        self.figures.append(Figure(path.name, title, alt, n, seed, photos))

    def table(self, key: str, title: str, rows: Sequence[Mapping[str, Cell]]) -> None:
        """Keep a table as CSV and as JSON; its columns are the keys of the first row."""
        table = Table(key, title, list(rows[0]) if rows else [], [list(jsonable(row).values()) for row in rows])
        write_text(self.folder / f"{key}.csv", csv_text(table))
        write_json(self.folder / f"{key}.json", [dict(zip(table.columns, row)) for row in table.rows])
        self.tables.append(table)


def paletted(image: Image.Image) -> Image.Image:
    """Reduce an image to 256 colours, a third of the bytes; rare colours are kept, as those of a colour bar."""
    return image.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)


def csv_text(table: Table) -> str:
    """RFC 4180, with a heading."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(table.columns)
    writer.writerows([["" if c is None else c for c in row] for row in table.rows])
    return out.getvalue()


def prototxts() -> str:
    """Return the SHA-256 of all models' prototxts."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(MODELS.glob("*/*.prototxt")))).hexdigest()


def _wanted(model: str, side: int | None, overrides: Overrides, view: Path) -> dict[str, Any]:
    """All that a training's result depends on."""
    return {
        "model": model,
        "side": side,
        **asdict(overrides),
        "data": identity(view),
        "prototxts": prototxts(),
        "engine": engine.name(),
    }


def _curve(folder: Path, log: TrainLog, decay: float) -> dict[str, Any]:
    """What :meth:`Bench.curve` returns of a run that has ended."""
    norm = None
    if not log.diverged:
        weights = find_trained(str(folder)).classifier().score_weights()
        norm = float(np.linalg.norm(weights.astype(np.float64)))
    curve: dict[str, Any] = jsonable(
        {
            "loss": log.loss,
            "tests": sorted(log.tests.items()),
            "diverged": log.diverged,
            "norm": norm,
            "penalty": None if norm is None else 0.5 * decay * norm**2,
        }
    )
    return curve
