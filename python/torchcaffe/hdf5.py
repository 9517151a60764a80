"""Weights in HDF5, as Caffe lays them out: ``/data/<layer>/<i>`` (and ``/diff/…``). Source: ``net.cpp``, ``hdf5.cpp``.

A shared parameter is written once, by the first layer that has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caffefiles.errors import CaffeError, optional
from caffefiles.files import PathLike, atomic_path
from torchcaffe import log
from torchcaffe.blob import Blob
from torchcaffe.net import Net

h5py = optional("h5py", "HDF5")


def save_net(net: Net, path: PathLike, write_diff: bool = False) -> None:
    """Write the parameters (and their gradients), whole or not at all."""
    owned = {id(blob) for blob in net.params.learnable}
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for side in ("data", "diff") if write_diff else ("data",):
            group = file.create_group(side)
            for name, layer in zip(net.layer_names, net.layers):
                blobs = group.require_group(name)
                for i, blob in enumerate(layer.blobs):
                    if id(blob) in owned:
                        array = blob.data if side == "data" else blob.diff
                        blobs.create_dataset(str(i), data=array.detach().cpu().numpy())


def load_net(net: Net, path: PathLike) -> None:
    """Copy the parameters into the layers of the same names; others are passed over.

    Raises:
        CaffeError: the file is no such file, or a layer's blobs differ in number or shape.
    """
    with opened(path) as file:
        for name, group in group_of(file, "data", path).items():
            if name not in net.layer_names:
                log.info("net.cpp:801", "Ignoring source layer %s", name)
                continue
            blobs = net.layer(name).blobs
            owned = {id(blob) for blob in net.params.learnable}
            missing = [i for i, blob in enumerate(blobs) if str(i) not in group and id(blob) in owned]
            if len(group) > len(blobs) or missing:
                raise CaffeError(
                    f"{os.fspath(path)}: layer {name!r} has {len(group)} blobs, the net's has {len(blobs)}"
                )
            for i, blob in enumerate(blobs):
                if str(i) in group:
                    read_blob(group, str(i), blob, f"{os.fspath(path)}: blob {i} of layer {name!r}")


def read_blob(group: Any, name: str, blob: Blob, where: str) -> None:
    """Copy a dataset into a blob of the same shape.

    Raises:
        CaffeError: it is no array of numbers, or of another shape.
    """
    blob.data.copy_(torch.from_numpy(read_array(group, name, blob.shape, where)))


def read_array(group: Any, name: str, shape: tuple[int, ...], where: str) -> Any:
    """A dataset of floats.

    Raises:
        CaffeError: it is no array of numbers, or of another shape than this.
    """
    stored = group[name]
    if not isinstance(stored, h5py.Dataset) or stored.dtype.kind != "f":
        raise CaffeError(f"{where} is no array of floats")
    if stored.shape != shape:
        raise CaffeError(f"{where} has the shape {stored.shape}, expected {shape}")
    return np.asarray(stored[()])


def group_of(file: Any, name: str, path: PathLike) -> Any:
    """A group of an open file.

    Raises:
        CaffeError: it has no such group.
    """
    group = file.get(name)
    if not isinstance(group, h5py.Group):
        raise CaffeError(f"{os.fspath(path)} has no group /{name}", f"it has: {', '.join(file) or 'nothing'}")
    return group


@contextmanager
def opened(path: PathLike) -> Iterator[Any]:
    """An HDF5 file, open for reading.

    Raises:
        CaffeError: the file is missing, or damaged, even where that is found only while reading.
    """
    if not Path(path).is_file():
        raise CaffeError(f"there is no file {os.fspath(path)!r}")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except CaffeError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise CaffeError(
            f"{os.fspath(path)} is no readable HDF5 file: {error}", "is it cut short, damaged, or a binary caffemodel?"
        ) from None
