"""How large each part of the check is: for a GPU, and for a quick test on a CPU."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of records, classes, steps and so on.

    Args:
        patience: a step's expected seconds are multiplied by this.
        product: rows and columns of the square products that are measured.
        copy: bytes of the buffer that is copied.
        cases: parity cases of each file at most.
        zoo_parity: nets compared with real Caffe's goldens.
        records: images of the linear net's epoch.
        classes: its classes.
        batch: its batch.
        steps: steps that are timed at a time.
        epoch_seconds: a whole epoch is run if it is expected to take at most this.
        streamed: records of the LMDB.
        zoo: batch of each net whose forward and backward are timed.
        images: fooling images of each kind.
        repeats: steps of the trainings that are run twice.
        trained: nets, with their batch, that are trained with and without recorded steps.
    """

    patience: float
    product: int
    copy: int
    cases: int
    zoo_parity: tuple[tuple[str, str], ...]
    records: int
    classes: int
    batch: int
    steps: int
    epoch_seconds: float
    streamed: int
    zoo: tuple[tuple[str, int], ...]
    images: int
    repeats: int
    trained: tuple[tuple[str, int], ...]


FULL = Sizes(
    patience=1,
    product=8192,
    copy=1 << 32,
    cases=1000,
    zoo_parity=(
        ("lenet", "TRAIN"),
        ("cifar_quick", "TRAIN"),
        ("cifar_full", "TRAIN"),
        ("squeezenet", "TEST"),
        ("mobilenet", "TEST"),
        ("googlenet_smooth", "TEST"),
        ("resnet50", "TEST"),
    ),
    records=1281167,
    classes=1000,
    batch=256,
    steps=500,
    epoch_seconds=8,
    streamed=8192,
    zoo=(
        ("lenet", 64),
        ("cifar_quick", 100),
        ("alexnet", 256),
        ("googlenet", 32),
        ("resnet50", 32),
        ("squeezenet", 32),
        ("mobilenet", 32),
        ("vgg16", 32),
    ),
    images=5,
    repeats=100,
    trained=(("lenet", 64), ("cifar_full", 100), ("mobilenet", 32), ("resnet50", 32)),
)

SMALL = Sizes(
    patience=0,
    product=128,
    copy=1 << 20,
    cases=2,
    zoo_parity=(("lenet", "TRAIN"),),
    records=70,
    classes=7,
    batch=16,
    steps=3,
    epoch_seconds=8,
    streamed=40,
    zoo=(("lenet", 2),),
    images=1,
    repeats=4,
    trained=(("lenet", 2),),
)
