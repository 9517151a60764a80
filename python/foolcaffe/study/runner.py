"""Run parts: what was measured is not measured again, judging and drawing always run, a failed part stops no other."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import foolcaffe
from caffefiles.datum import DatumLMDB
from caffefiles.files import sha256, write_json
from foolcaffe import engine
from foolcaffe.engine import ROOT
from foolcaffe.errors import FoolCaffeError, os_error_message
from foolcaffe.study.lab import Lab, prototxts
from foolcaffe.study.record import Claim, Findings, Record
from foolcaffe.study.scale import Scale, scale_for

RECORD = "record.json"
PACKAGES = ("numpy", "scipy", "scikit-image", "scikit-learn", "matplotlib", "pillow", "jinja2")


@dataclass(frozen=True)
class Part:
    """A part of the study: ``run(lab)`` measures by steps of the lab, draws, and returns its claims.

    What takes time belongs into a step (:meth:`Bench.step`), whose result is kept.
    """

    title: str
    about: str
    run: Callable[[Lab], list[Claim]]


def scale_of(dataset: Path) -> Scale:
    """Choose the scale by the number of training images.

    Raises:
        FoolCaffeError: there is no dataset.
    """
    with DatumLMDB(dataset / "train_lmdb") as records:
        return scale_for(len(records))


def dataset_hashes(dataset: Path) -> dict[str, str]:
    """SHA-256 of what a dataset is: its lists, names, mean (which sums up every training pixel) and validation LMDB.

    Raises:
        FoolCaffeError: a file is missing.
    """
    found = {}
    for name in ("train.txt", "val.txt", "synset_words.txt", "mean.binaryproto", "val_lmdb/data.mdb"):
        if not (dataset / name).is_file():
            raise FoolCaffeError(
                f"{dataset} is no finished dataset: no {name}", f"`make lmdb DATASET={dataset.name}` builds it"
            )
        found[name] = sha256(dataset / name)
    return found


def inputs_of(dataset: dict[str, str], scale: Scale) -> dict[str, str]:
    """Return hashes of all that a measurement depends on beside its code: data, models' prototxts, sizes, engine."""
    return {
        **dataset,
        "models": prototxts(),
        "scale": hashlib.sha256(json.dumps(asdict(scale)).encode()).hexdigest(),
        "engine": hashlib.sha256(engine.name().encode()).hexdigest(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the programs that take part."""
    found = {
        "foolcaffe": foolcaffe.__version__,
        "engine": f"{engine.name()} {getattr(engine.load(), '__version__', '')}".strip(),
        "Python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    try:
        commit = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        )
        found["commit"] = commit.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pass  # not a checkout
    return found


def command_of(name: str, dataset: Path) -> str:
    """What reproduces a part."""
    return f"python -m foolcaffe.study {name} --dataset {os.path.relpath(dataset)}"


def run_part(
    name: str,
    part: Part,
    dataset: Path,
    hashes: dict[str, str],
    gpu: str = "auto",
    quiet: bool = False,
    again: bool = False,
) -> Record:
    """Run one part; its record is written in any case.

    Args:
        name: in the registry.
        part: what runs.
        dataset: ``build/<dataset>``.
        hashes: :func:`dataset_hashes` of it.
        gpu: for training.
        quiet: no progress.
        again: forget what was measured.

    Raises:
        KeyboardInterrupt: the user stopped it; what it had done is kept, and it goes on from there.
    """
    scale = scale_of(dataset)
    root = dataset / "study"
    inputs = inputs_of(hashes, scale)
    path = root / name / RECORD
    known = read_record(path)
    if again:
        for step in (root / name / "steps").glob("*.json"):
            step.unlink()
    lab = Lab(dataset, root, name, scale, _hash(inputs), gpu, quiet)
    lab.folder.mkdir(parents=True, exist_ok=True)
    lab.say("begins" if known is None else "is tried again" if known.error else "looks for what has changed")
    seconds = -time.monotonic()
    findings, error = None, ""
    try:
        findings = Findings(part.run(lab), lab.figures, lab.tables)
    except FoolCaffeError as failure:
        error = str(failure)
    except OSError as failure:
        error = os_error_message(failure)
    except Exception as failure:  # a bug in one part must not take the others with it; the record holds it whole
        error = "".join(traceback.format_exception(type(failure), failure, failure.__traceback__))
    seconds += time.monotonic()
    if known is not None and not known.error and not lab.fresh:
        seconds = known.seconds  # nothing was measured now
    inputs["code"] = _hash(lab.keys)
    record = Record(
        name,
        part.title,
        part.about,
        command_of(name, dataset),
        _hash(inputs),
        inputs,
        versions(),
        list(scale.seeds),
        round(seconds, 1),
        findings,
        error,
    )
    write_json(path, record.to_json())
    lab.say(f"failed after {seconds:.0f} s: {record.trouble}" if error else f"done in {seconds:.0f} s")
    return record


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read_record(path: Path) -> Record | None:
    """Return a part's record, or None if it is missing or damaged."""
    try:
        return Record.from_json(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (FoolCaffeError, ValueError):
        print(f"not used: {path} is damaged", file=sys.stderr)
        return None
