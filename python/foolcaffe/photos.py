"""Train on a folder of your own images: lists, LMDBs, mean, prototxts, training, each done once.

The folder holds a folder for each class, or train/ and val/ with such folders. Without val/ a fifth of each class is kept
for validation, chosen with the seed. The same command goes on where it was; images that were added, renamed or removed
are noticed. Given a model's rendered folder, it trains that.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from foolcaffe import engine, gpu, lists
from foolcaffe.engine import ROOT
from foolcaffe.errors import FoolCaffeError, UsageError, run_cli
from foolcaffe.lmdb import plan, road, shard
from foolcaffe.options import command_line
from foolcaffe.render import Overrides, find_model, render
from foolcaffe.train import RECORD, train
from foolcaffe.validate import differences

SIDE = 64


def prepare(images: Path, dataset: Path, seed: int = 1, quiet: bool = False, skip_bad: bool = False) -> None:
    """Make ``build/<dataset>`` of a folder of images: lists, LMDBs and mean, compared with the lists.

    Args:
        images: a folder for each class, or ``train/`` and ``val/``.
        dataset: the folder to be made, or brought up to date.
        seed: of the split and the training list's order.
        quiet: no progress.
        skip_bad: leave out images that cannot be read, and name them.

    Raises:
        FoolCaffeError: no classes, an image that cannot be read, a dataset of that name that was made otherwise.
    """
    lists.update(images, dataset, seed)
    settings = plan.Settings(SIDE, SIDE, False, "linear", None, None, False, plan.Settings.max_pixels)
    for part in ("train", "val"):
        database = dataset / f"{part}_lmdb"
        if not database.exists():
            work = shard.Options(skip_bad, quiet, database.name)
            road.build(str(images), dataset / f"{part}.txt", database, settings, work, 0, None, True, False)
    mean = dataset / "mean.binaryproto"
    if not mean.exists():
        from foolcaffe.lmdb.mean import write_mean

        write_mean(mean, dataset / "train_lmdb", quiet)
    if not (dataset / "validated").exists():
        for part in ("train", "val"):
            if wrong := differences(dataset, part, SIDE, quiet):
                raise FoolCaffeError(f"{dataset}/{part}_lmdb is not what its list says", "\n".join(wrong[:5]))
        (dataset / "validated").touch()


def main(arguments: list[str]) -> int:
    """Parse, prepare, render, train."""
    parser = command_line("foolcaffe.photos", __doc__, "gpu seed quiet")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="your images, or build/<dataset>/<model>")
    parser.add_argument("--dataset", metavar="NAME", help="build/<NAME> (default: the folder's name)")
    parser.add_argument("--model", default="linear_softmax", metavar="NAME", help="of models/ (default: %(default)s)")
    parser.add_argument("--weight-decay", type=float, metavar="LAMBDA", help="(default: the model's)")
    parser.add_argument("--max-iter", type=int, metavar="N", help="training iterations (default: by images)")
    parser.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be read, and name them")
    options = parser.parse_args(arguments)
    engine.quiet = options.quiet
    folder: Path = options.folder
    if (folder / "solver.prototxt").is_file():
        return train(folder, options.gpu, options.quiet)
    name = options.dataset or re.sub(r"\W+", "-", folder.resolve().name).strip("-") or "mine"
    if not re.fullmatch(r"[\w.-]+", name) or name in (".", ".."):
        raise UsageError(f"--dataset {name!r} is no name of a folder", "one word of letters, digits, '-' and '_'")
    dataset = ROOT / "build" / name
    prepare(folder, dataset, options.seed, options.quiet, options.skip_bad)
    out = dataset / Path(options.model).name
    if not (out / RECORD).exists():
        overrides = Overrides(weight_decay=options.weight_decay, max_iter=options.max_iter, seed=options.seed)
        on_gpu = bool(gpu.choose(engine.command("caffe"), options.gpu))
        render(find_model(options.model), dataset, out, on_gpu, overrides)
        if code := train(out, options.gpu, options.quiet):
            return code
    if not options.quiet:
        print(f"next: foolcaffe classes --model {name}/{out.name}; foolcaffe fool --class …", file=sys.stderr)
    print(out)
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.photos")
