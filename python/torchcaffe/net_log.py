"""What real Caffe logs while a net is built: its prototxt, each layer's blobs, shapes, memory. Source: ``net.cpp``."""

from __future__ import annotations

from typing import Any

from caffefiles.proto import caffe_pb2
from torchcaffe import log
from torchcaffe.net import Net
from torchcaffe.net_filter import filter_net

_FLOAT_BYTES = 4


def log_state(param: Any) -> None:
    """Say which layers the net's state leaves out, and the net that remains (``param`` is unfiltered)."""
    if not log.enabled():
        return
    for layer in param.layer:
        met = False
        for rule in layer.include or layer.exclude:
            met = not _refusal(param.state, rule, layer.name) or met
            if met:
                break
    log.info("net.cpp:53", "Initializing net from parameters: \n%s", log.prototxt(filter_net(param)))


def _refusal(state: Any, rule: Any, layer: str) -> bool:
    """Say why a state does not meet a rule, and return True, if so."""
    by = f"specified by a rule in layer {layer}"
    if rule.HasField("phase") and rule.phase != state.phase:
        log.info("net.cpp:296", "The NetState phase (%d) differed from the phase (%d) %s", state.phase, rule.phase, by)
        return True
    if rule.HasField("min_level") and state.level < rule.min_level:
        log.info(
            "net.cpp:306", "The NetState level (%d) is above the min_level (%d) %s", state.level, rule.min_level, by
        )
        return True
    if rule.HasField("max_level") and state.level > rule.max_level:
        log.info(
            "net.cpp:316", "The NetState level (%d) is above the max_level (%d) %s", state.level, rule.max_level, by
        )
        return True
    for stage in rule.stage:
        if stage not in state.stage:
            log.info("net.cpp:332", "The NetState did not contain stage '%s' %s", stage, by)
            return True
    for stage in rule.not_stage:
        if stage in state.stage:
            log.info("net.cpp:347", "The NetState contained a not_stage '%s' %s", stage, by)
            return True
    return False


def log_net(net: Net) -> None:
    """Say how a net was built, layer by layer."""
    if not log.enabled():
        return
    memory = 0
    for i, (name, layer) in enumerate(zip(net.layer_names, net.layers)):
        log.info("layer_factory.hpp:77", "Creating layer %s", name)
        _before_setup(net, i)
        if layer.type == "SoftmaxWithLoss":
            log.info("layer_factory.hpp:77", "Creating layer %s", name)  # its inner Softmax
        log.info("net.cpp:124", "Setting up %s", name)
        for blob, weight in zip(net.tops(i), layer.loss_weights):
            log.info("net.cpp:131", "Top shape: %s", "".join(f"{n} " for n in blob.shape) + f"({blob.count})")
            if weight:
                log.info("net.cpp:134", "    with loss weight %g", weight)
            memory += blob.count * _FLOAT_BYTES
        log.info("net.cpp:139", "Memory required for data: %d", memory)
    for i in reversed(range(len(net.layers))):
        if net.layer_needs_backward[i]:
            log.info("net.cpp:200", "%s needs backward computation.", net.layer_names[i])
        else:
            log.info("net.cpp:202", "%s does not need backward computation.", net.layer_names[i])
    for j in net.outputs:
        log.info("net.cpp:244", "This network produces output %s", net.blob_names[j])
    log.info("net.cpp:257", "Network initialization done.")


def _before_setup(net: Net, i: int) -> None:
    name, layer = net.layer_names[i], net.layers[i]
    if layer.type == "Data" and layer.param.data_param.backend == caffe_pb2.DataParameter.LMDB:
        log.info("db_lmdb.cpp:35", "Opened lmdb %s", layer.param.data_param.source)
    log.info("net.cpp:86", "Creating Layer %s", name)
    for j in net.bottom_ids[i]:
        log.info("net.cpp:408", "%s <- %s", name, net.blob_names[j])
    for j in net.top_ids[i]:
        in_place = " (in-place)" if j in net.bottom_ids[i] else ""
        at = "net.cpp:369" if in_place else "net.cpp:382"
        log.info(at, "%s -> %s%s", name, net.blob_names[j], in_place)
    if layer.type == "Data":
        if layer.param.transform_param.mean_file:
            log.info("data_transformer.cpp:25", "Loading mean file from: %s", layer.param.transform_param.mean_file)
        shape = [str(getattr(net.tops(i)[0], side)) for side in ("num", "channels", "height", "width")]
        log.info("data_layer.cpp:45", "output data size: %s", ",".join(shape))
