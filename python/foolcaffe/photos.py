"""Train on a folder of your own images: lists, LMDBs, mean, prototxts, training, each done once.

The folder holds a folder for each class, or train/ and val/ with such folders. Without val/ a fifth of each class is
kept for validation, chosen with the seed. The same command goes on where it was; images that were added, renamed or
removed are noticed. Given a model's rendered folder, it trains that.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from pathlib import Path

from caffefiles.files import write_text
from foolcaffe import engine, gpu, lists
from foolcaffe.errors import FoolCaffeError, UsageError, run_cli
from foolcaffe.lmdb import plan, road, shard
from foolcaffe.lmdb.mean import write_mean
from foolcaffe.options import command_line
from foolcaffe.render import add_overrides, find_model, overrides_of, render
from foolcaffe.train import RECORD, train
from foolcaffe.trained import build_folder
from foolcaffe.validate import differences

SIDE = 64
PART = 0.2
"""Of each class of one's own images, for validation."""
STAMP = "images.txt"
"""Holds a hash of the images that a dataset was made of: their paths, sizes and times."""


def update(root: Path, out: Path, seed: int = 1) -> bool:
    """Write the lists of a folder of one's own images, if they are not those of what is there.

    Where the images have changed, LMDBs and mean are removed, for they are built anew from the lists; trained models
    and fooling images are moved to ``out/old/<n>``, where no command takes them for models of the new classes.

    Args:
        root: a folder for each class, or ``train/`` and ``val/``.
        out: ``build/<dataset>``.
        seed: of the split and of the training list's order.

    Returns:
        Whether anything was written.

    Raises:
        FoolCaffeError: see :func:`lists.scan`; or ``out`` is a dataset that was made otherwise.
    """
    found = lists.scan(root, seed, PART)
    stats = [(path, (root / path).stat()) for path, _ in sorted(found.train + found.val)]
    text = f"{root.resolve()}\t{seed}\n" + "".join(f"{p}\t{s.st_size}\t{s.st_mtime_ns}\n" for p, s in stats)
    stamp = hashlib.sha256((text + repr(found.synsets)).encode("utf-8", "surrogateescape")).hexdigest()
    known = (out / STAMP).read_text("utf-8") if (out / STAMP).exists() else ""
    if known == stamp:
        return False
    if not known and (out / "synset_words.txt").exists():
        raise FoolCaffeError(f"{out} was made of other images, by another command", "give the dataset another name")
    if known:
        _retire(out)
    lists.write(found, out, seed)
    write_text(out / STAMP, stamp)
    return True


def _retire(out: Path) -> None:
    """Remove what is built anew of changed images, and move aside what is not."""
    for name in ("train_lmdb", "val_lmdb"):
        shutil.rmtree(out / name, ignore_errors=True)
        shutil.rmtree(out / f"{name}.partial", ignore_errors=True)
    for name in ("mean.binaryproto", "validated"):
        (out / name).unlink(missing_ok=True)
    made = [path for path in out.iterdir() if path.is_dir() and path.name != "old"]
    if made:
        aside = out / "old" / str(len(list((out / "old").glob("*"))) + 1)
        aside.mkdir(parents=True)
        for path in made:
            path.rename(aside / path.name)
        print(
            f"the images have changed: models and fooling images made of the earlier ones are in {aside}",
            file=sys.stderr,
        )


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
    update(images, dataset, seed)
    settings = plan.Settings(SIDE, SIDE)
    for part in ("train", "val"):
        database = dataset / f"{part}_lmdb"
        if not database.exists():
            work = shard.Options(skip_bad, quiet, database.name)
            road.build(str(images), dataset / f"{part}.txt", database, settings, work, 0, None, True, False)
    mean = dataset / "mean.binaryproto"
    if not mean.exists():
        write_mean(mean, dataset / "train_lmdb", quiet)
    if not (dataset / "validated").exists():
        for part in ("train", "val"):
            if wrong := differences(dataset, part, SIDE, quiet):
                raise FoolCaffeError(f"{dataset}/{part}_lmdb is not what its list says", "\n".join(wrong[:5]))
        (dataset / "validated").touch()


def main(arguments: list[str]) -> int:
    """Parse, prepare, render, train."""
    parser = command_line("foolcaffe.photos", __doc__, "gpu quiet")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="your images, or build/<dataset>/<model>")
    parser.add_argument("--dataset", metavar="NAME", help="build/<NAME> (default: the folder's name)")
    parser.add_argument("--model", default="linear_softmax", metavar="NAME", help="of models/ (default: %(default)s)")
    parser.add_argument("--name", metavar="NAME", help="of the trained model (default: the model's)")
    add_overrides(parser)
    parser.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be read, and name them")
    parser.add_argument("--data-only", action="store_true", help="stop before the training")
    options = parser.parse_args(arguments)
    engine.quiet = options.quiet
    folder: Path = options.folder
    if (folder / "solver.prototxt").is_file():
        return train(folder, options.gpu, options.quiet)
    name = options.dataset or re.sub(r"\W+", "-", folder.resolve().name).strip("-") or "mine"
    if not re.fullmatch(r"[\w.-]+", name) or name in (".", ".."):
        raise UsageError(f"--dataset {name!r} is no name of a folder", "one word of letters, digits, '-' and '_'")
    dataset = build_folder().absolute() / name
    prepare(folder, dataset, 1 if options.seed is None else options.seed, options.quiet, options.skip_bad)
    if options.data_only:
        print(dataset)
        return 0
    out = dataset / (options.name or Path(options.model).name)
    if not (out / RECORD).exists():
        on_gpu = bool(gpu.choose(engine.command("caffe"), options.gpu))
        render(find_model(options.model), dataset, out, on_gpu, overrides_of(options))
        if code := train(out, options.gpu, options.quiet):
            return code
    if not options.quiet:
        print(f"next: foolcaffe classes --model {name}/{out.name}; foolcaffe fool --class …", file=sys.stderr)
    print(out)
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.photos")
