"""Layers: one type a file, all of them listed in :mod:`torchcaffe.layers.registry`."""
