"""A drop-in Caffe on PyTorch: nets, layers, solvers, files and tools with Caffe's names, judged by real Caffe.

``caffefiles.proto.caffe_pb2`` is the schema, ``caffefiles.prototxt`` reads and upgrades files, ``torchcaffe.net.Net``
builds and runs a net of ``torchcaffe.layers``, ``torchcaffe.solvers`` trains it, ``torchcaffe.tools`` are the programs.
"""

import os

from torchcaffe.version import __version__ as __version__

# Before PyTorch loads OpenMP, which reads it once: its threads shall sleep, not spin, while they wait for each other.
# Where other work shares the cores, spinning made training four times slower (docs/notes/bench_train.md).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def install() -> None:
    """Let ``import caffe`` mean this from now on: a script changes nothing but this line before it.

    Raises:
        CaffeError: if another caffe has been imported already.
    """
    from torchcaffe import pycaffe

    pycaffe.install()
