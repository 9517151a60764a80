"""Datasets, each brought into a folder that :mod:`foolcaffe.lists` reads. ``python -m foolcaffe.datasets``."""
