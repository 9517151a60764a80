"""Solvers on databases that exist on the device only: random bytes and labels, made there.

The nets, the Data layer, the resident batches and the solver are torchcaffe's own. In place of a database the layer
opens a reader that says how many records there are and gives one of them; what would then be read from the database
is made on the device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import zoo
from google.protobuf import text_format

from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_net, read_solver
from torchcaffe.data import resident
from torchcaffe.solvers.registry import make_solver

ROOT = Path(__file__).resolve().parents[2]
LINEAR = ROOT / "models" / "linear_softmax"
_CHUNK = 1 << 16


class MadeReader:
    """Stands for a database of ``count`` records of one shape."""

    path = "random bytes"

    def __init__(self, count: int, shape: tuple[int, int, int]) -> None:
        self.count, self._shape = count, shape

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """One record, without end."""
        channels, height, width = self._shape
        pixels = np.random.default_rng(0).integers(0, 256, self._shape, np.uint8)
        datum = caffe_pb2.Datum(channels=channels, height=height, width=width, data=pixels.tobytes())
        while True:
            yield b"0", datum.SerializeToString()


def random_records(
    count: int, shape: tuple[int, ...], classes: int, device: str | torch.device, seed: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random bytes and labels, made on the device."""
    generator = torch.Generator(device).manual_seed(seed)
    pixels = torch.empty((count, *shape), dtype=torch.uint8, device=device)
    for begin in range(0, count, _CHUNK):
        pixels[begin : begin + _CHUNK].random_(0, 256, generator=generator)
    labels = torch.randint(0, classes, (count,), device=device, generator=generator)
    return pixels, labels.float()


@contextmanager
def made_data(count: int, shape: tuple[int, int, int], classes: int, device: str) -> Iterator[dict[str, Any]]:
    """Within, Data layers read random records that lie on the device; the dict then says if they fitted."""
    seen: dict[str, Any] = {}
    really_fits = resident.fits

    def fits(*arguments: Any) -> bool:
        seen["fits"] = really_fits(*arguments)
        return bool(seen["fits"]) or device == "cpu"

    def load(*_: Any) -> tuple[torch.Tensor, torch.Tensor]:
        seen["records"] = random_records(count, shape, classes, device)
        return seen["records"]  # type: ignore[no-any-return]

    with (
        mock.patch("torchcaffe.layers.data.open_database", return_value=MadeReader(count, shape)),
        mock.patch.object(resident, "fits", fits),
        mock.patch.object(resident, "load", load),
    ):
        yield seen


def write_mean(path: Path, shape: tuple[int, int, int]) -> None:
    """A mean image with a value of its own for each pixel."""
    channels, height, width = shape
    mean = caffe_pb2.BlobProto(num=1, channels=channels, height=height, width=width)
    mean.data.extend((100 + np.arange(channels * height * width) % 55).astype(float))
    path.write_bytes(mean.SerializeToString())


def linear_solver(folder: Path, classes: int, batch: int, source: str = "made") -> Any:
    """A solver of ``models/linear_softmax`` for 3 × 64 × 64 images, that tests, displays and writes nothing.

    Args:
        folder: for the mean.
        classes: num_output.
        batch: batch_size.
        source: of the training data.
    """
    write_mean(folder / "mean.binaryproto", (3, 64, 64))
    net = read_net(LINEAR / "train_val.prototxt")
    kept = [layer for layer in net.layer if not any(rule.phase == caffe_pb2.TEST for rule in layer.include)]
    rendered = caffe_pb2.NetParameter(name=net.name, layer=kept)
    for layer in rendered.layer:
        if layer.type == "Data":
            layer.transform_param.mean_file = str(folder / "mean.binaryproto")
            layer.data_param.source = source
            layer.data_param.batch_size = batch
        elif layer.type == "InnerProduct":
            layer.inner_product_param.num_output = classes
    return quiet_solver(read_solver(LINEAR / "solver.prototxt"), rendered, folder)


def zoo_solver(folder: Path, name: str, batch: int) -> Any:
    """A solver of a net of the zoo, random weights made on the device from one seed; use it within :func:`made_data`."""
    build, _, _ = zoo.NETS[name]
    builder = zoo.Builder()
    build(builder)
    data = (
        'layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.00390625 } '
        f'data_param {{ source: "made" backend: LMDB batch_size: {batch} }} }}'
    )
    text = re.sub(r'weight_filler \{ type: "\w+" \}', 'weight_filler { type: "constant" }', builder.text)
    param = caffe_pb2.SolverParameter(base_lr=0.001, lr_policy="fixed", momentum=0.9, weight_decay=5e-4, random_seed=1)
    solver = quiet_solver(param, text_format.Parse(data + text, caffe_pb2.NetParameter()), folder)
    torch.manual_seed(1)
    for layer in solver.net.layers:
        if layer.type in ("Convolution", "InnerProduct"):
            weights = layer.blobs[0].data
            weights.normal_(0, (2 / weights[0].numel()) ** 0.5)
    return solver


def quiet_solver(param: Any, net: Any, folder: Path) -> Any:
    """The solver of a SolverParameter on a net, that tests, displays and writes nothing."""
    for name in ("net", "test_iter", "test_interval", "display", "snapshot"):
        param.ClearField(name)
    param.net_param.CopyFrom(net)
    param.snapshot_prefix = str(folder / "snapshot")
    return make_solver(param, "linear_softmax")
