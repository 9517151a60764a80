"""Records kept on a device give the batches that the prefetching thread gives, to the bit; here it is the CPU."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from training import SHAPE, write_db

from caffefiles.errors import CaffeError
from caffefiles.lmdb_reader import LmdbReader
from caffefiles.proto import caffe_pb2
from torchcaffe import common
from torchcaffe.data import resident
from torchcaffe.net import Net

MEAN = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE) / 7


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize("batch", [7, 23, 31], ids=lambda n: f"batch {n}")
@pytest.mark.parametrize(
    "transform",
    [
        "",
        "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.0078125",
        "mean_file: 'mean'",
        "crop_size: 9",
        "mean_file: 'mean' crop_size: 8 mirror: true scale: 0.017",
        "mean_value: 99 mirror: true",
    ],
)
def test_as_from_the_thread(
    transform: str, batch: int, phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_db(tmp_path)
    mean = caffe_pb2.BlobProto(num=1, channels=SHAPE[0], height=SHAPE[1], width=SHAPE[2])
    mean.data.extend(MEAN.ravel().tolist())
    (tmp_path / "mean").write_bytes(mean.SerializeToString())
    text = (
        f"state {{ phase: {phase} }}"
        f" layer {{ name: 'd' type: 'Data' top: 'x' top: 't' transform_param {{ {transform} }}"
        f" data_param {{ source: 'db' backend: LMDB batch_size: {batch} }} }}"
    )

    def batches() -> list[np.ndarray]:
        common.set_random_seed(11)
        net = Net(text_format.Parse(text, caffe_pb2.NetParameter()))
        found = []
        for _ in range(5):
            net.forward()
            found += [net.blob("x").array.copy(), net.blob("t").array.copy()]
        return found

    expected = batches()
    monkeypatch.setattr(resident, "fits", lambda *_: True)
    monkeypatch.setattr("torchcaffe.data.prefetch.Prefetcher.take", None)  # nothing comes from the thread
    got = batches()
    for a, b in zip(got, expected):
        assert np.array_equal(a, b)
    assert batch == 23 or not np.array_equal(expected[0], expected[2])  # 23 are all of them


def test_only_bytes_on_a_gpu_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((3, 5, 7), np.uint8)
    gpu = torch.device("cuda", 0)

    def reader(count: int) -> Any:
        return SimpleNamespace(count=count)

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000 * pixels.nbytes, 1 << 40))
    assert resident.fits(gpu, reader(600), pixels)
    assert not resident.fits(gpu, reader(601), pixels)
    assert not resident.fits(gpu, reader(600), pixels.astype(np.float32))
    assert not resident.fits(torch.device("cpu"), reader(1), pixels)


def test_a_record_of_another_shape_is_named(tmp_path: Path) -> None:
    write_db(tmp_path)
    with pytest.raises(CaffeError, match=r"record '00000000' of .* has the shape \(3, 11, 13\), the first has"):
        resident.load(LmdbReader(tmp_path / "db"), None, (3, 11, 12), torch.device("cpu"))
