# ruff: noqa: E501
"""Whole nets: splits, sharing, in place, loss weights, propagate_down, phases and stages."""

from parity import Case

IP = 'layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{2}" inner_product_param {{ num_output: {3} }} {4} }}'
LOSS = 'layer {{ name: "{0}" type: "SoftmaxWithLoss" bottom: "{1}" bottom: "t" top: "{0}" {2} }}'
XT = {"x": (5, 7), "t": ((5,), ("labels", 7))}


def ip(name: str, bottom: str, top: str, outputs: int = 7, more: str = "") -> str:
    return IP.format(name, bottom, top, outputs, more)


CASES = {
    "split": Case(ip("a", "x", "a", 11) + ip("b", "a", "b") + ip("c", "a", "c", 3) + LOSS.format("l", "b", ""), XT),
    "split of an in place blob": Case(
        ip("a", "x", "a", 11)
        + 'layer { name: "r" type: "ReLU" bottom: "a" top: "a" }'
        + ip("b", "a", "b")
        + ip("c", "a", "c", 3),
        {"x": (5, 7)},
    ),
    "loss on a blob that is read": Case(
        LOSS.format("l", "x", "loss_weight: 2") + 'layer { name: "r" type: "ReLU" bottom: "l" top: "y" }', XT
    ),
    "loss weight on any top": Case(ip("a", "x", "a", 3, "loss_weight: 0.25"), {"x": (5, 7)}),
    "two losses": Case(LOSS.format("l", "x", "loss_weight: 0.5") + LOSS.format("m", "x", "loss_weight: 3"), XT),
    "shared": Case(
        ip("a", "x", "a", 7, 'param { name: "w" lr_mult: 2 } param { name: "b" }')
        + ip("b", "a", "b", 7, 'param { name: "w" } param { name: "b" }'),
        {"x": (5, 7)},
        params="own",
    ),
    "shared permissively": Case(
        ip("a", "x", "a", 3, 'param { name: "w" }')
        + 'layer { name: "c" type: "Convolution" bottom: "v" top: "c" param { name: "w" share_mode: PERMISSIVE } '
        "convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }",
        {"x": (5, 7), "v": (2, 7, 3, 5)},
    ),
    "propagate_down": Case(
        ip("a", "x", "a", 11) + ip("b", "a", "b", 7, "propagate_down: false") + LOSS.format("l", "b", ""),
        XT,
        force_backward=False,
    ),
    "propagate_down to data": Case(
        ip("a", "x", "a", 7, "propagate_down: true") + LOSS.format("l", "a", ""), XT, force_backward=False
    ),
    "frozen": Case(
        ip("a", "x", "a", 11, "param { lr_mult: 0 } param { lr_mult: 0 }")
        + ip("b", "a", "b", 7)
        + LOSS.format("l", "b", ""),
        XT,
        force_backward=False,
    ),
    "phase": Case(
        ip("a", "x", "a", 7, "include { phase: TEST }")
        + ip("b", "x", "b", 7, "exclude { phase: TEST }")
        + ip("c", "x", "c", 7, 'include { stage: "s" } include { max_level: 0 not_stage: "q" }')
        + ip("d", "x", "d", 7, "include { min_level: 1 }"),
        {"x": (5, 7)},
    ),
    "no loss above": Case(
        ip("a", "x", "a", 7) + ip("c", "x", "c", 3) + LOSS.format("l", "a", ""), XT, force_backward=False
    ),
    "lenet": Case(
        'layer { name: "c1" type: "Convolution" bottom: "v" top: "c1" convolution_param { num_output: 6 kernel_size: 5 } }'
        'layer { name: "p1" type: "Pooling" bottom: "c1" top: "p1" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }'
        'layer { name: "c2" type: "Convolution" bottom: "p1" top: "c2" convolution_param { num_output: 9 kernel_size: 3 } }'
        'layer { name: "p2" type: "Pooling" bottom: "c2" top: "p2" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }'
        + ip("f1", "p2", "f1", 13)
        + 'layer { name: "r" type: "ReLU" bottom: "f1" top: "f1" } layer { name: "d" type: "Dropout" bottom: "f1" top: "f1" }'
        + ip("f2", "f1", "f2", 7)
        + LOSS.format("l", "f2", ""),
        {"v": (5, 3, 19, 23), "t": ((5,), ("labels", 7))},
        backward_tol=1e-5,
        param_tol=1e-5,
        forward_tol=1e-5,
    ),
}
