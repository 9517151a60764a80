"""Write a model's prototxts for another dataset: the parsed messages are edited, never the text.

models/<name>/*.prototxt are for ImageNet. A copy differs only in num_output, paths, iteration counts and solver_mode,
and in what is asked for here. A folder that was trained in is not rendered otherwise.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffefiles.datum import DatumLMDB
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_text, save_text
from foolcaffe import engine, gpu
from foolcaffe.classes import read_synsets
from foolcaffe.engine import MODELS, ROOT
from foolcaffe.errors import FoolCaffeError, nearest, run_cli
from foolcaffe.options import command_line

IMAGENET_IMAGES = 1_281_167
"""A model's solver is for as many images; another dataset gets as many epochs (the linear ones: 10),"""
LEAST_ITERATIONS = 2000
"""but no fewer iterations than this."""


@dataclass(frozen=True)
class Overrides:
    """What may differ from the model's files; None keeps theirs."""

    base_lr: float | None = None
    weight_decay: float | None = None
    std: float | None = None
    max_iter: int | None = None
    seed: int | None = None


def render(model: Path, dataset: Path, out: Path, on_gpu: bool, overrides: Overrides | None = None) -> bool:
    """Write ``train_val``, ``deploy`` and ``solver.prototxt`` for ``dataset`` into ``out``.

    Where ``out`` holds snapshots or a finished model, nothing is written: they would pass for those of the new files.

    Args:
        model: ``models/<name>``; its solver names the net, whose folder holds the deploy file.
        dataset: ``build/<dataset>`` with LMDBs, mean and ``synset_words.txt``.
        out: ``build/<dataset>/<name>``.
        on_gpu: the solver's mode.
        overrides: of the solver's rate, decay, iterations, seed, and of the init's std.

    Returns:
        Whether the files were written; not if they were trained with, and are what they would become.

    Raises:
        FoolCaffeError: a file is missing or malformed, an override is out of range, the net has no score layer to be
            resized, or ``out`` was trained in with other values.
    """
    overrides = overrides or Overrides()
    _check(overrides)
    solver = read_text(model / "solver.prototxt", caffe_pb2.SolverParameter(), "SolverParameter")
    net_file = _beside(model, solver.net)
    train_val = read_text(net_file, caffe_pb2.NetParameter(), "NetParameter")
    deploy = read_text(net_file.parent / "deploy.prototxt", caffe_pb2.NetParameter(), "NetParameter")
    classes = len(read_synsets(dataset / "synset_words.txt"))
    with DatumLMDB(dataset / "train_lmdb") as train, DatumLMDB(dataset / "val_lmdb") as val:
        images, validation = len(train), len(val)

    batches: dict[int, int] = {}
    for layer in train_val.layer:
        if layer.type == "Data":
            test = any(rule.phase == caffe_pb2.TEST and rule.HasField("phase") for rule in layer.include)
            layer.data_param.source = str(dataset / ("val_lmdb" if test else "train_lmdb"))
            if test:
                layer.data_param.batch_size = exact_batch(validation, layer.data_param.batch_size)
            batches[test] = layer.data_param.batch_size
        if layer.transform_param.HasField("mean_file"):
            layer.transform_param.mean_file = str(dataset / "mean.binaryproto")
    scores = _score_layer(train_val, net_file)
    for net, file in ((train_val, net_file), (deploy, net_file.parent / "deploy.prototxt")):
        _named(net, scores, file).inner_product_param.num_output = classes
    for layer in train_val.layer:  # a class cannot be among the best five of fewer
        if layer.type == "Accuracy" and layer.accuracy_param.top_k > classes:
            layer.accuracy_param.top_k = classes
    if overrides.std is not None:
        _named(train_val, scores, net_file).inner_product_param.weight_filler.std = overrides.std

    same_epochs = round(solver.max_iter * images / IMAGENET_IMAGES / 500) * 500
    iterations = overrides.max_iter or max(LEAST_ITERATIONS, same_epochs)
    solver.net = str(out / "train_val.prototxt")
    del solver.test_iter[:]
    solver.test_iter.append(-(-validation // batches[True]))
    solver.max_iter = iterations
    solver.test_interval = max(1, iterations // 10)
    solver.snapshot = max(1, iterations // 4)
    solver.display = min(100, max(1, iterations // 100))
    solver.snapshot_prefix = str(out / out.name)
    solver.solver_mode = caffe_pb2.SolverParameter.GPU if on_gpu else caffe_pb2.SolverParameter.CPU
    for field, value in (
        ("base_lr", overrides.base_lr),
        ("weight_decay", overrides.weight_decay),
        ("random_seed", overrides.seed),
    ):
        if value is not None:
            setattr(solver, field, value)

    rendered = {"train_val": train_val, "deploy": deploy, "solver": solver}
    if (out / "trained.json").exists() or any(out.glob("*_iter_*.solverstate")):
        if different := _differences(out, rendered, scores):
            raise FoolCaffeError(
                f"{out} was trained with {different}",
                f"give the new model a name of its own (NAME= of make, --out here), or remove {out}",
            )
        return False
    header = f"Rendered from {_shown(net_file.parent)} for {dataset.name}: {classes} classes, {images} images."
    for name, message in rendered.items():
        save_text(out / f"{name}.prototxt", message, header)
    return True


def exact_batch(images: int, batch: int) -> int:
    """Return the batch nearest to ``batch`` that tests each image once, for Caffe goes on with the first ones.

    That is a divisor from half to twice the batch, or all images at once if they are no more than that; where there is
    none, the batch itself.
    """
    fits = [size for size in range(max(1, batch // 2), 2 * batch + 1) if images % size == 0]
    return min(fits, key=lambda size: abs(size - batch), default=images if images <= 2 * batch else batch)


def _check(overrides: Overrides) -> None:
    """Caffe takes a negative decay or an infinite rate without a word; protobuf's fields have bounds of their own."""
    largest = 3e38  # of a float32
    for name, low, high in (
        ("base_lr", 0, largest),
        ("weight_decay", 0, largest),
        ("std", 0, largest),
        ("max_iter", 1, 2**31 - 1),
        ("seed", 0, 2**32 - 1),  # Caffe's generator takes 32 bits of it
    ):
        value = getattr(overrides, name)
        if value is not None and (not low <= value <= high or (value == 0 and name == "std")):
            raise FoolCaffeError(f"{name} {value:g} is out of range", f"expected {low:g} to {high:g}")


def _differences(out: Path, rendered: dict[str, Any], scores: str) -> str:
    """Say in what the files in ``out`` differ from the messages; empty if only the solver's mode differs."""
    there = {
        name: read_text(out / f"{name}.prototxt", type(message)(), "prototxt") for name, message in rendered.items()
    }
    there["solver"].solver_mode = rendered["solver"].solver_mode  # the trainer sets it to what is there
    if there == rendered:
        return ""
    pairs = [
        (name, getattr(there["solver"], name), getattr(rendered["solver"], name))
        for name in ("base_lr", "weight_decay", "max_iter", "random_seed")
    ]
    stds = [
        layer.inner_product_param.weight_filler.std
        for net in (there, rendered)
        for layer in net["train_val"].layer
        if layer.name == scores
    ]
    if len(stds) == 2:
        pairs.append(("std", *stds))
    return ", ".join(f"{name} {old:g}, not {new:g}" for name, old, new in pairs if old != new) or (
        "other prototxts: another model's, or edited ones"
    )


def _beside(model: Path, net: str) -> Path:
    """The solver's net: a path from the folder that ``models/`` lies in, as Caffe run there would take it."""
    for base in (model.parent.parent, Path()):
        if net and (base / net).is_file():
            return base / net
    raise FoolCaffeError(f"{model}/solver.prototxt: net {net!r} is not there")


def _shown(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)


def _score_layer(net: Any, file: Path) -> str:
    """The InnerProduct layer whose top the loss reads."""
    losses = [layer for layer in net.layer if "Loss" in layer.type]
    for layer in net.layer:
        if layer.type == "InnerProduct" and losses and layer.top[0] == losses[0].bottom[0]:
            return str(layer.name)
    raise FoolCaffeError(f"{file}: no InnerProduct layer feeds the loss, so the number of classes cannot be set")


def _named(net: Any, name: str, file: Path) -> Any:
    for layer in net.layer:
        if layer.name == name and layer.type == "InnerProduct":
            return layer
    raise FoolCaffeError(
        f"{file} has no InnerProduct layer {name!r}", "train_val and deploy must name the score layer alike"
    )


def find_model(text: str) -> Path:
    """Find a model's prototxts, ``models/<name>``, by name or path (for weights: ``find_trained``).

    Raises:
        FoolCaffeError: if there is no such model; the message offers the nearest name.
    """
    for path in (Path(text), MODELS / text):
        if (path / "solver.prototxt").is_file():
            return path
    known = sorted(p.parent.name for p in MODELS.glob("*/solver.prototxt"))
    raise FoolCaffeError(f"unknown model {text!r}", nearest(text, known) or f"models: {', '.join(known)}")


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add the options that :func:`overrides_of` reads."""
    parser.add_argument("--base-lr", type=float, metavar="RATE", help="learning rate (default: the model's)")
    parser.add_argument("--weight-decay", type=float, metavar="DECAY", help="regularization (default: the model's)")
    parser.add_argument("--std", type=float, help="of the gaussian init of the scores (default: the model's)")
    parser.add_argument(
        "--max-iter",
        type=int,
        metavar="N",
        help=f"iterations (default: the model's epochs, at least {LEAST_ITERATIONS})",
    )
    parser.add_argument("--seed", type=int, help="of init and order (default: the model's)")


def overrides_of(options: argparse.Namespace) -> Overrides:
    """Return what the options ask for."""
    return Overrides(options.base_lr, options.weight_decay, options.std, options.max_iter, options.seed)


def main(arguments: list[str]) -> int:
    """Parse, render."""
    parser = command_line("foolcaffe.render", __doc__, "gpu")
    parser.add_argument("--model", required=True, metavar="NAME", help="of models/<name>, or a folder like it")
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="build/<dataset>: LMDBs and mean")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: <dataset>/<name of the model>")
    add_overrides(parser)
    o = parser.parse_args(arguments)
    model = find_model(o.model)
    device = gpu.choose(engine.command("caffe"), o.gpu)
    out = o.out or o.dataset / model.name
    if render(model, o.dataset, out, bool(device), overrides_of(o)):
        print(f"{out}: solver_mode {'GPU' if device else 'CPU'}")
    else:
        print(f"{out} is as asked for already")
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.render")
