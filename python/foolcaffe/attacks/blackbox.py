"""Classifiers of which only scores are known: scikit-learn's, or a net whose gradient is not used."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax

from foolcaffe.attacks.base import Batch, Floats
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import BgrPixels


class SklearnScores:
    """A scikit-learn classifier as something that gives scores: forests, linear SVMs, nearest neighbours, pipelines.

    It is trained on rows of pixels, BGR, channel × height × width, 0..255, as :meth:`rows` makes them. Its classes must
    be 0..K − 1. Probabilities are ``predict_proba`` where it has that, else the softmax of ``decision_function``.

    Args:
        model: fitted.
        shape: of one image: 3, height, width.

    Raises:
        FoolCaffeError: not fitted, fitted on another number of pixels, classes that are not 0..K − 1, or no scores.
    """

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        labels = getattr(model, "classes_", None)
        if labels is None:
            raise FoolCaffeError(
                f"{type(model).__name__} is not fitted, or is no classifier", "call its fit(rows, labels) first"
            )
        if not np.array_equal(labels, np.arange(len(labels))):
            raise FoolCaffeError(
                f"the classes of {type(model).__name__} are not 0..{len(labels) - 1}", "encode the labels"
            )
        features = getattr(model, "n_features_in_", int(np.prod(shape)))
        if features != int(np.prod(shape)):
            raise FoolCaffeError(
                f"{type(model).__name__} was fitted on {features} values an image, {shape} has {int(np.prod(shape))}"
            )
        if not (hasattr(model, "predict_proba") or hasattr(model, "decision_function")):
            raise FoolCaffeError(
                f"{type(model).__name__} gives labels only, no scores", "predict_proba or decision_function is needed"
            )
        self.model, self.shape, self.classes, self.queries = model, shape, len(labels), 0

    @staticmethod
    def rows(images: Floats) -> Floats:
        """Images × channels × height × width as rows for ``fit``."""
        return np.asarray(images.reshape(len(images), -1), np.float32)

    def probabilities(self, images: Batch) -> Floats:
        """Images × classes; rows sum to 1."""
        batch = images.array[None] if isinstance(images, BgrPixels) else images
        if batch.shape[1:] != self.shape:
            raise FoolCaffeError(f"images of {batch.shape[1:]} do not fit a classifier that takes {self.shape}")
        self.queries += len(batch)
        if hasattr(self.model, "predict_proba"):
            return np.asarray(self.model.predict_proba(self.rows(batch)), np.float32)
        scores = np.asarray(self.model.decision_function(self.rows(batch)), np.float64)
        if scores.ndim == 1:  # of two classes scikit-learn gives one score
            scores = np.stack([-scores, scores], axis=1) / 2
        return np.asarray(softmax(scores, axis=1), np.float32)
