"""Pictures of nets, by pydot and Graphviz. Source: ``draw.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caffefiles.errors import optional
from caffefiles.files import PathLike
from caffefiles.proto import caffe_pb2
from torchcaffe.net_filter import meets
from torchcaffe.pycaffe.errors import CaffeRuntimeError

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}

_COLOURS = {"Convolution": "#FF5050", "Deconvolution": "#FF5050", "Pooling": "#FF9900", "InnerProduct": "#CC33FF"}


def get_pooling_types_dict() -> dict[int, str]:
    """Numbers of the pooling methods to their names."""
    return {v.number: v.name for v in caffe_pb2.PoolingParameter.PoolMethod.DESCRIPTOR.values}


def get_edge_label(layer: Any) -> str:
    """What is written at the arrow out of a layer: the batch size, the number of channels or of outputs."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return '""'


def get_layer_lr_mult(layer: Any) -> str:
    """The rates of a layer's weights and bias, as a part of its label."""
    if layer.type not in ("Convolution", "Deconvolution", "InnerProduct"):
        return ""
    rates = [spec.lr_mult for spec in layer.param] or [1.0, 1.0]
    return "lr_mult: " + ", ".join(f"{rate:g}" for rate in rates)


def get_layer_label(layer: Any, rankdir: str, display_lrm: bool = False) -> str:
    """What is written in a layer's box.

    Args:
        layer: the LayerParameter.
        rankdir: the picture's direction; what lies side by side in it is separated by a space, else by a line break.
        display_lrm: write the learning rates, too.
    """
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    parts = [layer.name, f"({layer.type})"]
    if layer.type in ("Convolution", "Deconvolution"):
        param = layer.convolution_param
        for what, values, default in (
            ("kernel size", param.kernel_size, 1),
            ("stride", param.stride, 1),
            ("pad", param.pad, 0),
        ):
            parts.append(f"{what}: {values[0] if values else default}")
    elif layer.type == "Pooling":
        pooling = layer.pooling_param
        parts[1] = f"({get_pooling_types_dict()[pooling.pool]} {layer.type})"
        parts += [f"kernel size: {pooling.kernel_size}", f"stride: {pooling.stride}", f"pad: {pooling.pad}"]
    if display_lrm and get_layer_lr_mult(layer):
        parts.append(get_layer_lr_mult(layer))
    return '"' + separator.join(parts) + '"'


def choose_color_by_layertype(layertype: str) -> str:
    """The colour of a layer's box."""
    return _COLOURS.get(layertype, "#6495ED")


def get_pydot_graph(
    caffe_net: Any, rankdir: str, label_edges: bool = True, phase: int | None = None, display_lrm: bool = False
) -> Any:
    """The pydot graph of a NetParameter.

    Args:
        caffe_net: the NetParameter.
        rankdir: TB, BT, LR or RL.
        label_edges: write batch size, channels and outputs at the arrows.
        phase: TRAIN or TEST leaves out the layers of the other; None draws all.
        display_lrm: write the learning rates.

    Raises:
        CaffeError: pydot is not installed.
    """
    pydot = optional("pydot", "drawing nets")
    graph = pydot.Dot(caffe_net.name or "Net", graph_type="digraph", rankdir=rankdir)
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str, str]] = []
    for layer in caffe_net.layer:
        if phase is not None and not _in_phase(layer, phase):
            continue
        box = f"{layer.name}_{layer.type}"
        in_place = len(layer.bottom) == 1 == len(layer.top) and layer.bottom[0] == layer.top[0]
        style = (
            NEURON_LAYER_STYLE
            if in_place
            else {**LAYER_STYLE_DEFAULT, "fillcolor": choose_color_by_layertype(layer.type)}
        )
        nodes[box] = pydot.Node(_quoted(box), label=get_layer_label(layer, rankdir, display_lrm), **style)
        for blob in layer.bottom:
            nodes[f"{blob}_blob"] = pydot.Node(_quoted(f"{blob}_blob"), label=_quoted(blob), **BLOB_STYLE)
            edges.append((f"{blob}_blob", box, '""'))
        for blob in layer.top:
            nodes[f"{blob}_blob"] = pydot.Node(_quoted(f"{blob}_blob"), label=_quoted(blob), **BLOB_STYLE)
            edges.append((box, f"{blob}_blob", get_edge_label(layer) if label_edges else '""'))
    for node in nodes.values():
        graph.add_node(node)
    for source, target, label in edges:
        graph.add_edge(pydot.Edge(nodes[source], nodes[target], label=label if label == '""' else _quoted(label)))
    return graph


def _in_phase(layer: Any, phase: int) -> bool:
    state = caffe_pb2.NetState(phase=phase)
    if layer.HasField("phase") and layer.phase != phase:
        return False
    rules = [rule for rule in layer.include if rule.HasField("phase")]
    if rules:
        return any(rule.phase == phase for rule in rules)
    return not any(rule.HasField("phase") and meets(state, rule) for rule in layer.exclude)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def draw_net(
    caffe_net: Any, rankdir: str, ext: str = "png", phase: int | None = None, display_lrm: bool = False
) -> bytes:
    """The picture's bytes in a format that Graphviz writes.

    Raises:
        CaffeError: pydot or Graphviz is not installed.
    """
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
    if ext in ("raw", "dot"):
        return str(graph.to_string()).encode()
    try:
        return bytes(graph.create(format=ext))
    except FileNotFoundError as error:
        raise CaffeRuntimeError(f"Graphviz could not draw it: {error}", "install Graphviz (its program dot)") from None


def draw_net_to_file(
    caffe_net: Any, filename: PathLike, rankdir: str = "LR", phase: int | None = None, display_lrm: bool = False
) -> None:
    """Write the picture; the file name's end says in which format.

    Raises:
        CaffeError: pydot or Graphviz is not installed.
    """
    path = Path(filename)
    path.write_bytes(draw_net(caffe_net, rankdir, path.suffix[1:] or "png", phase, display_lrm))
