"""LeNet, CIFAR-10 quick and SqueezeNet on photographs, 100 iterations from one seed, beside real Caffe's program.

The losses that both programs log are compared, of every iteration. Each program has one thread and a core of its own.
"""

from __future__ import annotations

import random
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from programs import caffe, needs_caffe, ours
from zoo import Builder, cifar_quick, lenet, squeezenet

from caffefiles.caffemodel import read_weights
from foolcaffe.caffelog import parse
from torchcaffe.pycaffe import get_solver

CLASSES, IMAGES, ITERATIONS = 10, 60, 100
"""Classes, images of each, iterations."""

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Run:
    """``build`` writes the net; ``size`` is (channels, side); ``fillers`` is the builder's."""

    build: Callable[[Builder], None]
    size: tuple[int, int]
    batch: int
    transform: str
    solver: str
    fillers: dict[str, str]


FIRES = [f"fire{i}/{part}" for i in range(2, 10) for part in ("squeeze", "expand1x1", "expand3x3")]

RUNS = {
    # recipes of Caffe's own examples and of SqueezeNet's paper, with fewer images a batch and a rate to match
    "lenet": Run(
        lenet,
        (1, 28),
        32,
        "scale: 0.00390625",
        'base_lr: 0.01 lr_policy: "inv" gamma: 0.0001 power: 0.75 momentum: 0.9 weight_decay: 0.0005',
        dict.fromkeys(("conv1", "conv2", "ip1", "ip2"), 'weight_filler { type: "xavier" }'),
    ),
    "cifar_quick": Run(
        cifar_quick,
        (3, 32),
        50,
        "mean_value: 104 mean_value: 117 mean_value: 123",
        'base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.004',
        {
            name: f'weight_filler {{ type: "gaussian" std: {std} }}'
            for name, std in (("conv1", 0.0001), ("conv2", 0.01), ("conv3", 0.01), ("ip1", 0.1), ("ip2", 0.1))
        },
    ),
    "squeezenet": Run(
        partial(squeezenet, classes=CLASSES),
        (3, 64),
        8,
        "mean_value: 104 mean_value: 117 mean_value: 123 mirror: true crop_size: 60",
        'base_lr: 0.004 lr_policy: "poly" power: 1 momentum: 0.9 weight_decay: 0.0002',
        {
            **dict.fromkeys(("conv1", *FIRES), 'weight_filler { type: "xavier" }'),
            "conv10": 'weight_filler { type: "gaussian" std: 0.01 }',
        },
    ),
}
SMOOTH = {
    **RUNS,
    # pixels of 128 grey levels saturate TanH, and let conv1 leap; scaled they need larger weights and steps
    "cifar_quick": replace(
        RUNS["cifar_quick"],
        transform="mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.00390625",
        solver='base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.004',
        fillers={
            **RUNS["cifar_quick"].fillers,
            "conv1": 'weight_filler { type: "gaussian" std: 0.0256 }',
            **dict.fromkeys(("conv2", "conv3"), 'weight_filler { type: "xavier" }'),
        },
    ),
}


@pytest.fixture(scope="session")
def photographs(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of JPEGs of ten classes of Tiny ImageNet, and ``list.txt``, shuffled, for convert_imageset."""
    folder = tmp_path_factory.mktemp("photographs")
    lines = []
    with zipfile.ZipFile(shared / "tiny-imagenet-half.zip") as archive:
        names = sorted(name for name in archive.namelist() if "/train/" in name and name.endswith(".JPEG"))
        classes = sorted({Path(name).name.split("_")[0] for name in names})[:CLASSES]
        for label, wnid in enumerate(classes):
            chosen = [name for name in names if Path(name).name.startswith(f"{wnid}_")][:IMAGES]
            assert len(chosen) == IMAGES
            for name in chosen:
                (folder / Path(name).name).write_bytes(archive.read(name))
                lines.append(f"{Path(name).name} {label}\n")
    random.Random(1).shuffle(lines)
    (folder / "list.txt").write_text("".join(lines))
    return folder


@pytest.fixture(scope="session")
def databases(photographs: Path) -> dict[tuple[int, int], Path]:
    """For each size (channels, side) an LMDB of the photographs, by real Caffe's program."""
    made = {}
    for channels, side in {run.size for run in RUNS.values()}:
        made[channels, side] = photographs / f"db{channels}x{side}"
        flags = [f"-resize_width={side}", f"-resize_height={side}", *(["-gray"] if channels == 1 else [])]
        listed = (f"{photographs}/", photographs / "list.txt", made[channels, side])
        done = caffe("convert_imageset", *flags, *listed)
        assert done.returncode == 0, done.stderr
    return made


def prepare(run: Run, databases: dict[tuple[int, int], Path], smooth: bool = False) -> None:
    """Write the prototxts into the working folder."""
    builder = Builder(run.fillers)
    run.build(builder)
    net = builder.text
    if smooth:
        net = net.replace("pool: MAX", "pool: AVE").replace('"ReLU"', '"TanH"')
        assert net != builder.text
    Path("net.prototxt").write_text(
        f'layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ {run.transform} }} '
        f'data_param {{ source: "{databases[run.size]}" backend: LMDB batch_size: {run.batch} }} }}\n{net}'
    )
    Path("solver.prototxt").write_text(
        f'net: "net.prototxt" solver_mode: CPU {run.solver} random_seed: 7 display: 1 max_iter: {ITERATIONS}\n'
    )


def train(name: str, program: Program) -> tuple[np.ndarray, np.ndarray]:
    """Each iteration's loss, as logged, and all last weights in one vector."""
    solver = Path(f"{name}.prototxt")
    solver.write_text(f'{Path("solver.prototxt").read_text()} snapshot_prefix: "{name}"\n')
    done = program("caffe", "train", "-solver", solver, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    log = parse(done.stderr.splitlines())
    assert log.done
    assert [number for number, _ in log.loss] == list(range(ITERATIONS + 1))
    layers = read_weights(Path(f"{name}_iter_{ITERATIONS}.caffemodel")).layer
    return np.array([loss for _, loss in log.loss]), np.concatenate(
        [np.array(b.data) for la in layers for b in la.blobs]
    )


def train_both() -> list[tuple[np.ndarray, np.ndarray]]:
    """Ours and real Caffe's, at the same time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(train, ("own", "real"), (ours, caffe)))


def nudged() -> Program:
    """Real Caffe's program, from first weights whose last bits are others, up or down at random."""
    solver = get_solver("solver.prototxt")
    generator = np.random.default_rng(5)
    for blob in (blob for blobs in solver.net.params.values() for blob in blobs):
        values = np.array(blob.data)
        ends = np.where(generator.integers(0, 2, values.shape), np.float32(np.inf), np.float32(-np.inf))
        blob.data[...] = np.where(values == 0, values, np.nextafter(values, ends))
    solver.net.save("nudged.caffemodel")
    return partial(_from_weights, "nudged.caffemodel")


def _from_weights(weights: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return caffe(*arguments, "-weights", weights, **environment)  # type: ignore[arg-type]


def compare(
    name: str, one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, float]:
    """The largest relative difference of a loss until each iteration, and the weights'; prints a line of them."""
    errors = np.maximum.accumulate(np.abs(one[0] / other[0] - 1))
    weights = float(np.linalg.norm(one[1] - other[1]) / np.linalg.norm(other[1]))
    beyond = np.flatnonzero(~(errors <= 1e-3))
    print(
        f"{name}: losses {other[0][0]:.4g} to {other[0][-1]:.4g} differ by {errors[10]:.1e} until iteration 10, "
        f"{errors[-1]:.1e} in all, beyond 1e-3 from {beyond[0] if beyond.size else 'none'}; weights {weights:.1e}"
    )
    return errors, weights


@needs_caffe
@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_losses_are_real_caffes(
    name: str, databases: dict[tuple[int, int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 1e-3, or as far from real Caffe as that is from itself once the first weights' last bits are others.

    Maxima and ReLUs flip by rounding, and from the first flip on, differences grow; when it comes, up to ten iterations
    earlier or later, is chance.
    """
    monkeypatch.chdir(tmp_path)
    prepare(RUNS[name], databases)
    own, real = train_both()
    errors, weights = compare(name, own, real)
    assert errors[10] <= 1e-4
    if not max(errors[-1], weights) <= 1e-3:
        yardstick, apart = compare("real Caffe's own", train("nudged", nudged()), real)
        later = np.append(yardstick[10:], [yardstick[-1]] * 10)
        assert (errors <= np.maximum(1e-3, 5 * later)).all(), (errors, later)
        assert weights <= max(1e-3, 5 * apart)


@needs_caffe
@pytest.mark.slow
@pytest.mark.parametrize("name", SMOOTH)
def test_losses_are_real_caffes_where_rounding_flips_nothing(
    name: str, databases: dict[tuple[int, int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With averages for maxima and TanH for ReLU a gradient is continuous: differences stay those of rounding."""
    monkeypatch.chdir(tmp_path)
    prepare(SMOOTH[name], databases, smooth=True)
    errors, weights = compare(f"{name}, smooth", *train_both())
    assert errors[-1] <= 1e-4
    assert weights <= 2e-5
