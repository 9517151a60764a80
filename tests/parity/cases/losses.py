# ruff: noqa: E501
"""The losses other than SoftmaxWithLoss."""

from parity import Case

TWO = 'layer {{ name: "l" type: "{}" bottom: "x" bottom: "t" top: "loss" {} }}'
THREE = 'layer {{ name: "l" type: "{}" bottom: "x" bottom: "v" bottom: "t" top: "loss" {} }}'
INFOGAIN = 'layer {{ name: "f" type: "Convolution" bottom: "x" top: "f" convolution_param {{ num_output: 5 kernel_size: 1 axis: {} }} }} layer {{ name: "l" type: "InfogainLoss" bottom: "f" bottom: "t" bottom: "h" top: "loss" {} }}'
SOFTMAX = 'layer { name: "s" type: "Softmax" bottom: "x" top: "p" } layer { name: "l" type: "MultinomialLogisticLoss" bottom: "p" bottom: "t" top: "loss" }'

PAIRS = {"x": ((11, 3), "unit"), "v": ((11, 3), "unit"), "t": ((11,), ("labels", 2))}
FLAT = {"x": (5, 7), "t": ((5,), ("labels", 7))}
PLANES = {"x": (3, 4, 2, 7), "t": ((3, 1, 2, 7), ("labels", 5)), "h": ((1, 1, 5, 5), "unit")}
BINARY = {"x": (5, 3, 7), "t": ((5, 3, 7), ("labels", 3))}
PROBABLE = {"x": (5, 3, 7), "t": ((5, 3, 7), "unit")}
OTHERS = {"force_backward": False, "param_tol": 4e-6}

CASES = {
    "Euclidean": Case(TWO.format("EuclideanLoss", ""), {"x": (5, 3, 2, 7), "t": (5, 3, 2, 7)}),
    "Euclidean of other shapes": Case(TWO.format("EuclideanLoss", "loss_weight: 2.5"), {"x": (5, 6, 7), "t": (5, 42)}),
    "Contrastive": Case(THREE.format("ContrastiveLoss", ""), PAIRS),
    "Contrastive margin": Case(
        THREE.format("ContrastiveLoss", "loss_weight: 3 contrastive_loss_param { margin: 0.75 }"), PAIRS
    ),
    "Contrastive legacy": Case(
        THREE.format("ContrastiveLoss", "contrastive_loss_param { legacy_version: true margin: 0.5 }"), PAIRS
    ),
    "Contrastive of four axes": Case(
        THREE.format("ContrastiveLoss", ""),
        {"x": ((7, 3, 1, 1), "unit"), "v": ((7, 3, 1, 1), "unit"), "t": ((7, 1, 1, 1), ("labels", 2))},
    ),
    "Contrastive of equals": Case(
        'layer { name: "l" type: "ContrastiveLoss" bottom: "x" bottom: "x" bottom: "t" top: "loss" }',
        {"x": (7, 3), "t": ((7,), ("labels", 2))},
    ),
    "Hinge": Case(TWO.format("HingeLoss", ""), FLAT),
    "Hinge L2": Case(TWO.format("HingeLoss", "hinge_loss_param { norm: L2 } loss_weight: 0.5"), FLAT),
    "Hinge of planes": Case(TWO.format("HingeLoss", ""), {"x": (5, 3, 2, 7), "t": ((5,), ("labels", 42))}),
    "Hinge L1, stated": Case(TWO.format("HingeLoss", "hinge_loss_param { norm: L1 }"), FLAT),
    "MultinomialLogistic": Case(SOFTMAX, FLAT),
    "MultinomialLogistic of small numbers": Case(
        TWO.format("MultinomialLogisticLoss", "loss_weight: 2"), {"x": ((5, 7), "positive"), "t": ((5,), ("labels", 7))}
    ),
    "MultinomialLogistic of zeros": Case(
        TWO.format("MultinomialLogisticLoss", ""), {"x": ((5, 7), "zero"), "t": ((5,), ("labels", 7))}
    ),
    "Infogain": Case(INFOGAIN.format(1, ""), PLANES, **OTHERS),
    "Infogain and probabilities": Case(
        INFOGAIN.format(1, "").replace('top: "loss"', 'top: "loss" top: "p" loss_weight: 2 loss_weight: 0'),
        PLANES,
        **OTHERS,
    ),
    "Infogain ignoring": Case(INFOGAIN.format(1, "loss_param { ignore_label: 2 }"), PLANES, **OTHERS),
    "Infogain full": Case(INFOGAIN.format(1, "loss_param { ignore_label: 2 normalization: FULL }"), PLANES, **OTHERS),
    "Infogain batch size": Case(
        INFOGAIN.format(1, "loss_param { normalization: BATCH_SIZE } loss_weight: 0.25"), PLANES, **OTHERS
    ),
    "Infogain none": Case(INFOGAIN.format(1, "loss_param { normalization: NONE }"), PLANES, **OTHERS),
    "Infogain axis": Case(
        INFOGAIN.format(2, "infogain_loss_param { axis: 2 }"),
        {"x": (3, 2, 4, 7), "t": ((3, 2, 7), ("labels", 5)), "h": ((1, 1, 5, 5), "unit")},
        **OTHERS,
    ),
    "SigmoidCrossEntropy": Case(TWO.format("SigmoidCrossEntropyLoss", ""), PROBABLE),
    "SigmoidCrossEntropy weight": Case(TWO.format("SigmoidCrossEntropyLoss", "loss_weight: 0.5"), PROBABLE),
    "SigmoidCrossEntropy ignoring": Case(
        TWO.format("SigmoidCrossEntropyLoss", "loss_param { ignore_label: 2 }"), BINARY
    ),
    "SigmoidCrossEntropy valid": Case(
        TWO.format("SigmoidCrossEntropyLoss", "loss_param { ignore_label: 2 normalization: VALID }"), BINARY
    ),
    "SigmoidCrossEntropy full": Case(
        TWO.format("SigmoidCrossEntropyLoss", "loss_param { ignore_label: 2 normalization: FULL }"), BINARY
    ),
    "SigmoidCrossEntropy none": Case(
        TWO.format("SigmoidCrossEntropyLoss", "loss_param { normalization: NONE }"), PROBABLE
    ),
    "SigmoidCrossEntropy normalize": Case(
        TWO.format("SigmoidCrossEntropyLoss", "loss_param { normalize: true }"), PROBABLE
    ),
    "SigmoidCrossEntropy normalize false": Case(
        TWO.format("SigmoidCrossEntropyLoss", "loss_param { normalize: false }"), PROBABLE
    ),
}
