"""The parts of the study: one file a part, one line here."""

from __future__ import annotations

from foolcaffe.study.parts import (
    accuracy,
    background,
    camera,
    difficulty,
    dimension,
    directions,
    figures,
    hyperparameters,
    mitigations,
    speech,
    transfer,
)
from foolcaffe.study.runner import Part

PARTS: dict[str, Part] = {
    "hyperparameters": Part("Hyperparameters", hyperparameters.__doc__ or "", hyperparameters.run),
    "accuracy": Part("Accuracy and templates", accuracy.__doc__ or "", accuracy.run),
    "difficulty": Part("Fooling difficulty against regularization", difficulty.__doc__ or "", difficulty.run),
    "figures": Part("From an image and from noise", figures.__doc__ or "", figures.run),
    "dimension": Part("The toy, and the dimension", dimension.__doc__ or "", dimension.run),
    "transfer": Part("Transfer", transfer.__doc__ or "", transfer.run),
    "directions": Part("Directions", directions.__doc__ or "", directions.run),
    "camera": Part("Through a camera", camera.__doc__ or "", camera.run),
    "mitigations": Part("Mitigations", mitigations.__doc__ or "", mitigations.run),
    "background": Part("A background class", background.__doc__ or "", background.run),
    "speech": Part("Another domain: speech", speech.__doc__ or "", speech.run),
}
