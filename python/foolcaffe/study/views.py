"""Folders that look like a dataset: the dataset itself, it at another size, a part of its training images."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import lmdb
import numpy as np
import numpy.typing as npt

from caffefiles.datum import DatumLMDB, Record
from caffefiles.files import write_text
from caffefiles.proto import caffe_pb2
from foolcaffe import engine
from foolcaffe.errors import FoolCaffeError
from foolcaffe.study.closure import code_of

SHARED = ("train_lmdb", "val_lmdb", "mean.binaryproto", "synset_words.txt", "train.txt", "val.txt")
MADE_FROM = "made-from.txt"
"""Holds a hash of what a view was made from."""


def identity(dataset: Path) -> str:
    """Return a hash that tells one training set from another: of its mean, its class names and its LMDB's size."""
    digest = hashlib.sha256()
    for name in ("mean.binaryproto", "synset_words.txt"):
        digest.update((dataset / name).read_bytes())
    digest.update(str((dataset / "train_lmdb" / "data.mdb").stat().st_size).encode())
    return digest.hexdigest()


def linked(dataset: Path, folder: Path, names: tuple[str, ...] = SHARED) -> Path:
    """``folder`` with links to the dataset's files: models trained there leave the dataset's own folder as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        link = folder / name
        if not link.is_symlink() and (dataset / name).exists():
            link.symlink_to(os.path.relpath(dataset / name, folder))
    return folder


def rewritten(
    folder: Path,
    dataset: Path,
    train: Callable[[Iterator[Record]], Iterator[Record]],
    val: Callable[[Iterator[Record]], Iterator[Record]] | None,
    extra_class: str = "",
    made_from: str = "",
) -> Path:
    """A view whose LMDBs are made of the dataset's records, with its own mean; whole or not at all.

    Args:
        folder: to be made; nothing is done if it is there, made from the same.
        dataset: ``build/<dataset>``, or another view.
        train, val: what becomes of the records of each LMDB; a ``val`` of None links the dataset's.
        extra_class: a line of ``synset_words.txt`` for one more class; it must sort last.
        made_from: what ``train`` and ``val`` depend on: their code and its arguments.
    """
    with building(folder, f"{identity(dataset)} {made_from}") as aside:
        if aside is None:
            return folder
        linked(dataset, aside, ("val_lmdb",) if val is None else ())
        words = (dataset / "synset_words.txt").read_text("utf-8")
        write_text(aside / "synset_words.txt", words + (f"{extra_class}\n" if extra_class else ""))
        for name, change in (("train_lmdb", train), ("val_lmdb", val)):
            if change is not None:
                with DatumLMDB(dataset / name) as records:
                    write_lmdb(aside / name, change(iter(records)))
    return folder


@contextmanager
def building(folder: Path, made_from: str) -> Iterator[Path | None]:
    """A folder to be filled with ``train_lmdb``, ``val_lmdb``, ``synset_words.txt``; then its mean is computed.

    Gives None if the folder is there already, made from the same; one that was made from something else is removed
    with the models that were trained in it.

    Args:
        folder: of the view.
        made_from: all that its contents depend on: data, code and arguments.
    """
    stamp = hashlib.sha256(made_from.encode()).hexdigest()
    if (folder / MADE_FROM).exists() and (folder / MADE_FROM).read_text("utf-8") == stamp:
        yield None
        return
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    aside.mkdir(parents=True)
    yield aside
    made = subprocess.run(
        [*engine.command("compute_image_mean"), str(aside / "train_lmdb"), str(aside / "mean.binaryproto")],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise FoolCaffeError(f"compute_image_mean failed on {aside}/train_lmdb: {made.stderr.strip()[-300:]}")
    write_text(aside / MADE_FROM, stamp)
    aside.rename(folder)


def write_lmdb(path: Path, records: Iterator[Record]) -> None:
    """Write records as an LMDB of Datums with raw pixels, as ``convert_imageset`` does."""
    path.mkdir(parents=True)
    with lmdb.open(str(path), map_size=1 << 40, sync=False) as env:
        while batch := list(islice(records, 1000)):
            with env.begin(write=True) as txn:
                for record in batch:
                    channels, height, width = record.pixels.shape
                    datum = caffe_pb2.Datum(
                        channels=channels, height=height, width=width, label=record.label, data=record.pixels.tobytes()
                    )
                    txn.put(record.key.encode(), datum.SerializeToString())
        env.sync(True)
    (path / "lock.mdb").unlink(missing_ok=True)


def shrink(pixels: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Channels × height × width to side × side by averaging whole blocks.

    Raises:
        FoolCaffeError: the side does not divide height and width.
    """
    channels, height, width = pixels.shape
    if height % side or width % side:
        raise FoolCaffeError(f"{height} × {width} pixels cannot be averaged to {side} × {side}")
    blocks = pixels.reshape(channels, side, height // side, side, width // side).astype(np.float64)
    return np.asarray(np.rint(blocks.mean(axis=(2, 4))), np.uint8)


def sized(folder: Path, dataset: Path, side: int) -> Path:
    """The dataset at side × side pixels."""

    def smaller(records: Iterator[Record]) -> Iterator[Record]:
        return (Record(r.key, r.label, shrink(r.pixels, side)) for r in records)

    return rewritten(folder, dataset, smaller, smaller, made_from=f"{code_of(sized)} {side}")


def half(folder: Path, dataset: Path, which: int) -> Path:
    """Every second training image of each class, the even (0) or odd (1) ones; the validation images as they are."""

    def kept(records: Iterator[Record]) -> Iterator[Record]:
        seen: dict[int, int] = {}
        for r in records:
            seen[r.label] = seen.get(r.label, -1) + 1
            if seen[r.label] % 2 == which:
                yield r

    return rewritten(folder, dataset, kept, None, made_from=f"{code_of(half)} {which}")
