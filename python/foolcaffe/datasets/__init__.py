"""Datasets, each brought into a folder of images that :mod:`foolcaffe.lists` reads. ``python -m foolcaffe.datasets``."""
