"""Milliseconds of forward and backward of the nets that people use Caffe for, on random data, in TRAIN."""

from __future__ import annotations

import re
from typing import Any

import torch
import zoo
from google.protobuf import text_format

from caffefiles.proto import caffe_pb2
from gpucheck.clock import median_ms
from gpucheck.linear import precisions
from gpucheck.runner import Context
from torchcaffe.net import Net


def run(context: Context) -> str:
    """Each net at its batch in float32, and in tf32 where there is such a thing."""
    context.use()
    found: dict[str, Any] = {}
    for name, batch in context.sizes.zoo:
        net = random_net(name, batch)
        each: dict[str, Any] = {"batch": batch}
        for precision in precisions(context):
            if precision == "bf16":  # convolutions have no such mode
                continue
            context.use(precision)

            def both(net: Any = net) -> None:
                net.clear_param_diffs()
                net.forward()
                net.backward()

            each[precision] = median_ms(both, context.device)
        found[name] = each
        context.note(nets=found)
        del net
        if context.device == "cuda":
            torch.cuda.empty_cache()
    return "; ".join(f"{name} × {each['batch']} {each['float32']:.1f} ms" for name, each in found.items())


def random_net(name: str, batch: int) -> Any:
    """A net of the zoo with random weights, made on the device, and random inputs."""
    build, size, classes = zoo.NETS[name]
    builder = zoo.Builder()
    build(builder)
    inputs = "".join(
        f'layer {{ name: "{top}_in" type: "Input" top: "{top}" input_param {{ shape {{ {dims} }} }} }}\n'
        for top, dims in (("data", " ".join(f"dim: {n}" for n in (batch, *size))), ("label", f"dim: {batch}"))
    )
    text = re.sub(r'weight_filler \{ type: "\w+" \}', 'weight_filler { type: "constant" }', builder.text)
    param = text_format.Parse(inputs + text, caffe_pb2.NetParameter())
    param.state.phase = caffe_pb2.TRAIN
    net = Net(param, name)
    torch.manual_seed(1)
    for layer in net.layers:
        if layer.type in ("Convolution", "InnerProduct"):
            weights = layer.blobs[0].data
            weights.normal_(0, (2 / weights[0].numel()) ** 0.5)
    net.blob("data").data.normal_()
    net.blob("label").data.random_(0, classes)
    return net
