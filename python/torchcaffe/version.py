"""The version of Caffe that torchcaffe follows."""

__version__ = "1.0.0"
