"""Databases of records, their decoding and transformation, and the thread that does it beside the training."""
