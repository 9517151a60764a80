from parity import Case

LAYER = 'layer {{ name: "p" type: "Pooling" bottom: "x" top: "y" {} pooling_param {{ pool: {} {} }} }}'
WINDOWS = {
    "plain": "kernel_size: 3 stride: 2",
    "pad": "kernel_size: 3 stride: 2 pad: 1",
    "wide pad": "kernel_size: 5 stride: 3 pad: 4",
    "sides": "kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 1",
    "overhang": "kernel_size: 4 stride: 3",
    "gaps": "kernel_size: 2 stride: 3",
    "floor": "kernel_size: 4 stride: 3 round_mode: FLOOR",
    "global": "global_pooling: true",
    "dropped": "kernel_size: 2 stride: 2 pad: 1",
}

CASES = {
    f"{pool} {name}": Case(LAYER.format("", pool, window), {"x": ((2, 3, 8, 11), "distinct")})
    for pool in ("MAX", "AVE")
    for name, window in WINDOWS.items()
}
CASES["MAX ties"] = Case(LAYER.format("", "MAX", "kernel_size: 3 stride: 2"), {"x": ((2, 3, 8, 11), ("labels", 3))})
CASES["MAX mask"] = Case(
    LAYER.format('top: "mask"', "MAX", "kernel_size: 3 stride: 2 pad: 1"), {"x": ((2, 3, 8, 11), "distinct")}
)
