"""The post's method: add a fraction of the data gradient of the wanted class's score."""

from __future__ import annotations

from foolcaffe.attacks.base import Criterion, Result
from foolcaffe.attacks.ray import along_ray
from foolcaffe.images import Rgb8
from foolcaffe.net import Classifier


def gradient(net: Classifier, start: Rgb8, criterion: Criterion, *, seed: int = 0) -> Result:
    """``start + factor × ∇ₓ s_target``, with the smallest factor whose PNG fools.

    For a linear net the gradient is the target's weight row ("add some fraction of those weights to the image",
    Karpathy 2015, "Fooling a Linear Classifier on ImageNet"). It comes from Caffe's backward pass all the same.

    Args:
        net: the classifier.
        start: of the net's size.
        criterion: target class, and confidence if any.
        seed: not used: nothing is drawn.
    """
    return along_ray(net, start, net.class_gradient(start.to_bgr(), criterion.target), criterion)
