"""Caffe's file formats, read and written without Caffe and without PyTorch.

``prototxt`` reads and upgrades nets and solvers; ``proto.caffe_pb2`` is the schema; ``datum``, ``lmdb_reader`` and
``leveldb_reader`` are databases of images, ``listfile`` the lists that they are made of, ``mean`` a mean image.
``errors`` and ``files`` are what everything above shares: errors that say what to do, files that appear whole.
"""

__version__ = "0.1.0"
"""Of the three distributions, which are released together."""
