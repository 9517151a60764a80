"""``caffe test``: the outputs of a trained net over some batches. Source: ``tools/caffe.cpp`` (test)."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_net
from torchcaffe import log
from torchcaffe.net import Net
from torchcaffe.net_log import log_net, log_state
from torchcaffe.solvers.testing import loss_weights, weighted
from torchcaffe.tools import device
from torchcaffe.tools.program import CheckError
from torchcaffe.tools.train import stages
from torchcaffe.weights import load_weights


def score(flags: dict[str, Any]) -> int:
    """Test a net.

    Raises:
        CheckError: flags are missing.
        CaffeError: the net, the weights or the data are wrong.
    """
    if not flags["model"]:
        raise CheckError("caffe.cpp:258", "FLAGS_model.size() > 0 (0 vs. 0) Need a model definition to score.")
    if not flags["weights"]:
        raise CheckError("caffe.cpp:259", "FLAGS_weights.size() > 0 (0 vs. 0) Need model weights to score.")
    device.use(flags["gpu"], flags["precision"], "caffe.cpp:275")
    net = read(flags, caffe_pb2.TEST)
    load_weights(net, flags["weights"])
    count = flags["iterations"]
    log.info("caffe.cpp:281", "Running for %d iterations.", count)
    sums: list[Any] = []
    loss = np.float32(0)
    for batch in range(count):
        loss += np.float32(float(net.forward()))
        scores = [net.blobs[j].array.ravel() for j in net.outputs]
        for j, values in zip(net.outputs, scores):
            for value in values:
                log.info("caffe.cpp:304", "Batch %d, %s = %g", batch, net.blob_names[j], value)
        sums = [s + v for s, v in zip(sums, scores)] if sums else [v.copy() for v in scores]
    if count < 1:
        return 0
    log.info("caffe.cpp:309", "Loss: %g", loss / np.float32(count))
    weights = loss_weights(net)
    for j, values in zip(net.outputs, sums):
        for value in values / np.float32(count):
            log.info("caffe.cpp:321", "%s = %g%s", net.blob_names[j], value, weighted(value, weights.get(j)))
    return 0


def read(flags: dict[str, Any], phase: int) -> Net:
    """The net of ``-model`` in a phase, with ``-level`` and ``-stage``."""
    param = read_net(flags["model"])
    param.state.phase, param.state.level = phase, flags["level"]
    param.state.stage.extend(stages(flags))
    log_state(param)
    net = Net(param, flags["model"])
    log_net(net)
    return net
