"""``caffe device_query``: what the GPUs are. Source: ``tools/caffe.cpp``, ``common.cpp`` (DeviceQuery)."""

from __future__ import annotations

from typing import Any

import torch

from torchcaffe import common, log
from torchcaffe.tools.device import gpu_ids


def device_query(flags: dict[str, Any]) -> int:
    """Say what the GPUs of ``-gpu`` are.

    Raises:
        CaffeError: there is no GPU, or none of that id.
    """
    log.info("caffe.cpp:138", "Querying GPUs %s", flags["gpu"])
    ids = gpu_ids(flags["gpu"])
    kind = common.accelerator()
    for i in ids:
        common.set_device(i)
        log.info("common.cpp:186", "Device id:                     %d", i)
        if kind == "cuda":
            properties = torch.cuda.get_device_properties(i)
            log.info("common.cpp:188", "Major revision number:         %d", properties.major)
            log.info("common.cpp:190", "Minor revision number:         %d", properties.minor)
            log.info("common.cpp:192", "Name:                          %s", properties.name)
            log.info("common.cpp:193", "Total global memory:           %d", properties.total_memory)
            log.info("common.cpp:215", "Number of multiprocessors:     %d", properties.multi_processor_count)
        else:
            log.info("common.cpp:192", "Name:                          %s", kind)
    return 0
