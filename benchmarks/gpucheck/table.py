"""Markdown of what a check found, for docs/gpu.md."""

from __future__ import annotations

from typing import Any

_WORST = 8
"""So many layer types are listed."""


def table(report: dict[str, Any]) -> str:
    """The whole section."""
    steps = report["steps"]
    parts = [_machine(report, steps.get("machine", {}))]
    for name, write in (
        ("recorded", _recorded),
        ("linear", _linear),
        ("launches", _launches),
        ("streamed", _streamed),
        ("zoo", _zoo),
        ("correctness", _correctness),
        ("fooling", _fooling),
        ("repeat", _repeat),
    ):
        if name not in steps:
            continue
        step = steps[name]
        if step["state"] == "done":
            parts.append(write(step))
        else:
            parts.append(f"**{name}: {step['state']}**, {step.get('error') or step.get('reason')}")
    return "\n\n".join(parts)


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _machine(report: dict[str, Any], step: dict[str, Any]) -> str:
    names = [
        step.get("name", "unknown"),
        f"driver {step['driver']}" if "driver" in step else "",
        f"PyTorch {step.get('torch', '?')}",
        f"CUDA {step['cuda']}" if "cuda" in step else "",
    ]
    rates = ", ".join(f"{name} {rate:.3g}" for name, rate in step.get("tflops", {}).items())
    return (
        f"{report['at']}, {', '.join(filter(None, names))}; all steps took {report['seconds']:.0f} s. "
        f"Copies move {step.get('copy_gb_s', 0):.0f} GB/s, bytes read and written counted; square products, "
        f"in TFLOP/s: {rates}."
    )


def _linear(step: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{each['ms']:.3f}",
            f"{each['eager_ms']:.3f}" if "eager_ms" in each else "",
            f"{each['epoch_s']:.2f}",
            f"{each['floor_ms']:.3f}",
            f"{each['over_floor']:.2f}",
            f"{each['serial_ms']:.3f}",
            f"{each['bare_ms']:.3f}",
            f"{each['bare_graph_ms']:.3f}" if "bare_graph_ms" in each else "",
        ]
        for name, each in step["modes"].items()
    ]
    head = [
        "products",
        "ms a step",
        "not recorded, ms",
        "s an epoch",
        "floor, ms",
        "× floor",
        "not fused, ms",
        "bare loop, ms",
    ]
    head += ["bare loop as a graph, ms"]
    return (
        f"The post's classifier on {step['records']:,} images of 3 × 64 × 64 bytes that lie on the device, "
        f"{step['steps_an_epoch']:,} steps an epoch, through `models/linear_softmax` and torchcaffe's solver "
        f"(peak {step['peak_gb']:.1f} GB):\n\n{_rows(head, rows)}"
    )


def _recorded(step: dict[str, Any]) -> str:
    rows = [
        [
            f"{title} × {each['batch']}",
            "equal" if each["equal"] else "NOT equal",
            f"{each['replayed']}",
            f"{each['ms']:.3f}",
            f"{each['eager_ms']:.3f}",
            f"{each['any_kernels_ms']:.3f}" if "any_kernels_ms" in each else "",
        ]
        for title, each in step["trainings"].items()
    ]
    head = ["trained with recorded steps and without", "losses and weights", "replayed", "recorded, ms a step"]
    head += ["not recorded, ms", "recorded, any kernels of cuDNN, ms"]
    return _rows(head, rows)


def _launches(step: dict[str, Any]) -> str:
    rows = [[name, f"{each['launches']:.0f}", f"{each['busy_ms']:.3f}"] for name, each in step["modes"].items()]
    return "What a step of it launches:\n\n" + _rows(["products", "kernels and copies", "device busy, ms"], rows)


def _streamed(step: dict[str, Any]) -> str:
    rows = [
        [side, f"{step[side]['ms']:.2f}", f"{step[side]['images_s']:,.0f}", f"{step[side]['peak_gb']:.2f}"]
        for side in ("streamed", "resident")
    ]
    head = ["the same net from an LMDB", "ms a step", "images/s", "peak on the device, GB"]
    return _rows(head, rows) + f"\n\nLosses agree within {step['loss_difference']:.1g}."


def _zoo(step: dict[str, Any]) -> str:
    rows = [
        [name, str(each["batch"]), f"{each['float32']:.2f}", f"{each['tf32']:.2f}" if "tf32" in each else ""]
        for name, each in step["nets"].items()
    ]
    return _rows(["net", "batch", "forward and backward, float32, ms", "tf32, ms"], rows)


def _correctness(step: dict[str, Any]) -> str:
    side = "cuda" if "cuda" in step else "cpu"
    ours = step[side]
    rows = [
        [kind, f"{error:.1e}", *([f"{step['cpu']['types'][kind]:.1e}" if kind in step["cpu"]["types"] else ""])]
        for kind, error in sorted(ours["types"].items(), key=lambda pair: -pair[1])
    ]
    rest = f"The other {len(rows) - _WORST} types: at most {rows[_WORST][1]} on {side}.\n\n" if rows[_WORST:] else ""
    nets = [
        [name, *(f"{each.get(key, 0):.1e}" for key in ("loss", "data", "diff", "param_diff"))]
        for name, each in step["nets"].items()
    ]
    return (
        f"Beside real Caffe's stored results, {ours['compared']} cases, of which {ours['strict']} are within the CPU's "
        f"tolerance and all within ten times it; {ours['drawn']} with numbers drawn on the device are not compared. "
        f"Largest error of the cases with a layer type, relative to an array's largest value (or 1):\n\n"
        f"{_rows(['layer', side, 'CPU of the same machine'], rows[:_WORST])}\n\n{rest}"
        f"{_rows(['whole net', 'loss', 'blobs', 'gradients', 'gradients of parameters'], nets)}"
    )


def _fooling(step: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{step[name]['fooled']} of {step[name]['images']}",
            f"{step[name]['first_seconds']:.3f}" if "first_seconds" in step[name] else "",
            f"{step[name]['seconds']:.3f}",
            f"{step[name]['l2']:.1f}",
        ]
        for name in ("gradient", "exact")
    ]
    once = step.get("prepare_seconds")
    said = "" if once is None else f" What the exact attack computes once a net takes {once:.2f} s."
    return (
        f"Data gradients equal the rows of weights to the last bit; one takes {step['gradient_ms']:.2f} ms.{said}\n\n"
        + _rows(["attack", "fooled", "the first, s", "s an image", "L2, grey levels"], rows)
    )


def _repeat(step: dict[str, Any]) -> str:
    rows = [
        [name, str(each["steps"]), "equal" if each["equal"] else f"apart from step {each['first_difference']} on"]
        for name, each in step["trainings"].items()
    ]
    return _rows(["trained twice from one seed", "steps", "losses and weights"], rows)
