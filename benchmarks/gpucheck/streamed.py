"""The linear net fed from an LMDB by the prefetching thread, and the same LMDB kept on the device."""

from __future__ import annotations

import resource
import statistics
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from caffefiles.proto import caffe_pb2
from gpucheck.clock import peak_gb, step_ms
from gpucheck.linear import SHAPE
from gpucheck.made import linear_solver
from gpucheck.runner import Context
from torchcaffe.data import resident


def write_lmdb(path: Path, count: int, classes: int) -> None:
    """Random images, as convert_imageset writes them."""
    import lmdb  # here, so that the other steps do without

    random = np.random.default_rng(1)
    channels, height, width = SHAPE
    with (
        lmdb.open(str(path), map_size=1 << 34, sync=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        for i in range(count):
            pixels = random.integers(0, 256, SHAPE, np.uint8).tobytes()
            label = int(random.integers(classes))
            datum = caffe_pb2.Datum(channels=channels, height=height, width=width, data=pixels, label=label)
            transaction.put(b"%08d" % i, datum.SerializeToString())


def run(context: Context) -> str:
    """Images a second either way, and whether the losses are equal."""
    device, sizes = context.device, context.sizes
    context.use()
    path = context.folder / "db"
    write_lmdb(path, sizes.streamed, sizes.classes)
    found: dict[str, Any] = {}
    losses: dict[str, list[float]] = {}
    for side, stays in (("streamed", False), ("resident", True)):
        with mock.patch.object(resident, "fits", lambda *_, stays=stays: stays):
            solver = linear_solver(context.folder, sizes.classes, sizes.batch, str(path))
        losses[side] = []
        for _ in range(min(10, sizes.steps)):
            solver.step(1)
            losses[side].append(solver.smoothed_loss)
        ms = statistics.median(step_ms(solver.step, min(40, sizes.steps), device)[0] for _ in range(3))
        found[side] = {"ms": ms, "images_s": 1000 * sizes.batch / ms, "peak_gb": peak_gb(device)}
        context.note(**found)
        del solver
    far = max(abs(a - b) / abs(b) for a, b in zip(losses["streamed"], losses["resident"]))
    context.note(loss_difference=far, host_peak_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)
    if not far <= 1e-5:
        raise ValueError(f"losses of streamed and resident data differ by {far:.3g} relative")
    a, b = found["streamed"], found["resident"]
    return (
        f"streamed {a['images_s']:.0f} images/s, resident {b['images_s']:.0f} ({a['ms'] / b['ms']:.1f} ×), "
        f"losses within {far:.1g}"
    )
