"""Trained models under ``build/``: where their files lie, which was trained last."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from foolcaffe import engine
from foolcaffe.classes import Synsets, read_synsets
from foolcaffe.classifier import Classifier
from foolcaffe.engine import ROOT
from foolcaffe.errors import FoolCaffeError, nearest
from foolcaffe.gpu import choose
from foolcaffe.train import RECORD


@dataclass(frozen=True)
class TrainedModel:
    """The files of one trained model: ``folder`` is ``build/<dataset>/<model>``."""

    folder: Path
    deploy: Path
    weights: Path
    mean: Path | None

    @property
    def dataset(self) -> Path:
        """``build/<dataset>``: LMDBs, names of the classes, mean."""
        return self.folder.parent

    def synsets(self) -> Synsets:
        """The names of its classes."""
        return read_synsets(self.dataset / "synset_words.txt")

    def classifier(self, gpu: int | None = None) -> Classifier:
        """Load it.

        Raises:
            FoolCaffeError: see :class:`Classifier`; no such GPU; or the names are of another number of classes.
        """
        if gpu is not None:  # Caffe would abort
            choose(engine.command("caffe"), str(gpu))
        net = Classifier(self.deploy, self.weights, self.mean, gpu)
        names = len(self.synsets())
        if names != net.classes:
            raise FoolCaffeError(
                f"{self.deploy} has {net.classes} classes, {self.dataset}/synset_words.txt names {names}"
            )
        return net


def build_folder() -> Path:
    """Where trained models are looked for: ``build`` here, else in the checkout."""
    return Path("build") if Path("build").is_dir() else ROOT / "build"


def find_trained(
    model: str | None, weights: Path | None = None, mean: Path | None = None, build: Path | None = None
) -> TrainedModel:
    """Find a trained model, ``build/<dataset>/<model>``, by name or folder; without one, the model trained last.

    Args:
        model: a folder as ``build/demo/linear_softmax``, the name of one, or None.
        weights: a ``.caffemodel`` other than the finished one.
        mean: a mean other than the dataset's.
        build: where to look (default: ``build`` here, else in the checkout).

    Raises:
        FoolCaffeError: nothing trained, an unknown name, or one that several datasets have.
    """
    build = build or build_folder()
    trained = _records(build)
    if model is None:
        if not trained:
            raise FoolCaffeError(
                f"no trained model under {build}", "`make train` trains one, `make demo` does everything"
            )
        folder = trained[-1].parent
    elif Path(model).is_dir():
        folder = Path(model)
    else:
        found = [p.parent for p in trained if model in (p.parent.name, f"{p.parent.parent.name}/{p.parent.name}")]
        if len(found) != 1:
            known = [f"{p.parent.parent.name}/{p.parent.name}" for p in trained]
            raise FoolCaffeError(
                f"{'no' if not found else 'more than one'} trained model {model!r} under {build}",
                nearest(model, known) or f"trained: {', '.join(known) or 'none'}",
            )
        folder = found[0]
    if weights is None:
        record = folder / RECORD
        if not record.exists():
            raise FoolCaffeError(
                f"{folder} holds no finished model", "`make train` finishes it, or name a snapshot with --weights"
            )
        try:
            weights = folder / str(json.loads(record.read_text("utf-8"))["weights"])
        except (ValueError, KeyError, TypeError):
            raise FoolCaffeError(
                f"{record} is damaged: it does not name the finished weights",
                "remove it; the same `make train` writes it again from the last snapshot",
            ) from None
    own = folder.parent / "mean.binaryproto"
    return TrainedModel(folder, folder / "deploy.prototxt", weights, mean or (own if own.exists() else None))


def every_trained() -> list[TrainedModel]:
    """Every model under ``build/`` whose weights are there, that trained last first."""
    models = [find_trained(str(record.parent)) for record in reversed(_records(build_folder()))]
    return [model for model in models if model.weights.exists()]


def _records(build: Path) -> list[Path]:
    return sorted(build.glob(f"*/*/{RECORD}"), key=lambda p: p.stat().st_mtime)
