"""A net's weights in files: ``.caffemodel``, and ``.h5`` where the name ends so. Source: ``net.cpp``."""

from __future__ import annotations

import os

from caffefiles.caffemodel import read_weights
from caffefiles.files import PathLike
from caffefiles.prototxt import save_binary
from torchcaffe.net import Net


def load_weights(net: Net, paths: str) -> None:
    """Copy trained layers from files, separated by commas, into the layers of the same names.

    Raises:
        CaffeError: a file cannot be read, or a layer's blobs differ in number or shape.
    """
    for path in (part.strip() for part in paths.split(",")):
        if path.endswith(".h5"):
            from torchcaffe import hdf5  # h5py is wanted only by those who use such files

            hdf5.load_net(net, path)
        else:
            net.copy_trained_layers_from(read_weights(path), path)


def save_weights(net: Net, path: PathLike, write_diff: bool = False) -> None:
    """Write a net's weights (and their diffs), whole or not at all; the name's end says in which format.

    Raises:
        OSError: it cannot be written.
    """
    if os.fspath(path).endswith(".h5"):
        from torchcaffe import hdf5

        hdf5.save_net(net, path, write_diff)
    else:
        save_binary(path, net.to_proto(write_diff))
