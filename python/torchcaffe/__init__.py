"""A drop-in Caffe on PyTorch: nets, layers, solvers, files and tools with Caffe's names, judged by real Caffe.

``torchcaffe.proto.caffe_pb2`` is the schema, ``torchcaffe.prototxt`` reads and upgrades files, ``torchcaffe.net.Net``
builds and runs a net of ``torchcaffe.layers``, ``torchcaffe.solver`` trains it.
"""

__version__ = "1.0.0"
"""The version of Caffe that is followed."""


def install() -> None:
    """Let ``import caffe`` mean this from now on: a script changes nothing but this line before it.

    Raises:
        FoolCaffeError: another caffe has been imported already.
    """
    from torchcaffe import pycaffe

    pycaffe.install()
