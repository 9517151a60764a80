"""Layers: one type a file; :mod:`torchcaffe.layers.registry` finds them by the files' names."""
