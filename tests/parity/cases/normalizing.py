# ruff: noqa: E501
"""BatchNorm, LRN and MVN."""

from parity import Case

BN = 'layer {{ name: "n" type: "BatchNorm" bottom: "x" top: "{}" {} }}'
LRN = 'layer {{ name: "n" type: "LRN" bottom: "x" top: "y" lrn_param {{ {} }} }}'
MVN = 'layer {{ name: "n" type: "MVN" bottom: "x" top: "{}" mvn_param {{ {} }} }}'
X = {"x": (4, 3, 5, 7)}
MORE = {"forward_tol": 4e-6, "backward_tol": 4e-6}
TWICE = {"forwards": 2, **MORE}  # the statistics are then compared with a tolerance

CASES = {
    "BatchNorm": Case(BN.format("y", ""), X, **TWICE),
    "BatchNorm in place": Case(BN.format("x", ""), X, **TWICE),
    "BatchNorm from the start": Case(BN.format("y", ""), X, params="own", forwards=3, **MORE),
    "BatchNorm fraction": Case(
        BN.format("y", "batch_norm_param { moving_average_fraction: 0.7 eps: 0.1 }"),
        X,
        params="own",
        forwards=2,
        **MORE,
    ),
    "BatchNorm test": Case(BN.format("y", ""), X, phase="TEST", params="positive", **MORE),
    "BatchNorm test in place": Case(BN.format("x", ""), X, phase="TEST", params="positive", **MORE),
    "BatchNorm test untrained": Case(BN.format("y", ""), X, phase="TEST", params="own", **MORE),
    "BatchNorm global": Case(
        BN.format("y", "batch_norm_param { use_global_stats: true }"), X, params="positive", **MORE
    ),
    "BatchNorm local in test": Case(
        BN.format("y", "batch_norm_param { use_global_stats: false }"), X, phase="TEST", params="own", **TWICE
    ),
    "BatchNorm on data": Case(
        BN.format("y", "")
        + 'layer { name: "a" type: "AbsVal" bottom: "y" top: "a" }'
        + 'layer { name: "i" type: "InnerProduct" bottom: "a" top: "i" inner_product_param { num_output: 6 } }'
        + 'layer { name: "l" type: "SoftmaxWithLoss" bottom: "i" bottom: "t" top: "l" }',
        {**X, "t": ((4,), ("labels", 6))},
        force_backward=False,
        **TWICE,
    ),
    "BatchNorm of vectors": Case(BN.format("y", ""), {"x": (11, 5)}, params="own", **TWICE),
    "BatchNorm of one": Case(BN.format("y", ""), {"x": (1, 5)}, params="own", **TWICE),
    "BatchNorm of volumes": Case(BN.format("y", ""), {"x": (4, 3, 2, 5, 7)}, params="own", **TWICE),
    "BatchNorm with Scale in place": Case(
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 6 kernel_size: 3 bias_term: false } }'
        'layer { name: "n" type: "BatchNorm" bottom: "c" top: "c" }'
        'layer { name: "s" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true bias_filler { type: "gaussian" } } }'
        'layer { name: "r" type: "ReLU" bottom: "c" top: "c" }'
        'layer { name: "f" type: "InnerProduct" bottom: "c" top: "f" inner_product_param { num_output: 2 } }'
        'layer { name: "l" type: "SoftmaxWithLoss" bottom: "f" bottom: "t" top: "l" }',
        {"x": (4, 3, 5, 7), "t": ((4,), ("labels", 2))},
        forwards=2,
        force_backward=False,
        param_tol=1e-5,
        **MORE,
    ),
    "LRN": Case(LRN.format(""), {"x": (2, 11, 5, 7)}),
    "LRN parameters": Case(LRN.format("local_size: 3 alpha: 0.5 beta: 0.6 k: 2"), {"x": (2, 11, 5, 7)}),
    "LRN of few channels": Case(LRN.format("local_size: 9 alpha: 0.5"), {"x": (2, 3, 5, 7)}),
    "LRN of one channel": Case(LRN.format("alpha: 0.5"), {"x": (2, 1, 5, 7)}),
    "LRN AlexNet": Case(LRN.format("local_size: 5 alpha: 0.0001 beta: 0.75"), {"x": (2, 11, 5, 7)}),
    "LRN within": Case(LRN.format("norm_region: WITHIN_CHANNEL"), {"x": (2, 3, 5, 7)}),
    "LRN within, parameters": Case(
        LRN.format("norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.5 beta: 0.6 k: 2"), {"x": (2, 3, 5, 7)}
    ),
    "LRN within a small plane": Case(LRN.format("norm_region: WITHIN_CHANNEL local_size: 7"), {"x": (5, 4, 2, 3)}),
    "MVN": Case(MVN.format("y", ""), X, **MORE),
    "MVN in place": Case(MVN.format("x", ""), X, backward=False, **MORE),
    "MVN across": Case(MVN.format("y", "across_channels: true"), X, **MORE),
    "MVN mean only": Case(MVN.format("y", "normalize_variance: false"), X, **MORE),
    "MVN mean only across": Case(MVN.format("y", "normalize_variance: false across_channels: true"), X, **MORE),
    "MVN eps": Case(MVN.format("y", "eps: 0.5"), X, **MORE),
    "MVN of volumes, three axes": Case(MVN.format("y", ""), {"x": (2, 3, 7)}, **MORE),
}
