"""Does torchcaffe train the post's model at least as fast as real Caffe, at 200 and at 1000 outputs?

Both sides run the same solver over the same LMDB of synthetic 64x64 images, batch 256, alternating within one go. The
rate is the median of what the logs say for every 20 iterations after the first 20; the processor time is that of a
long run less that of a short one. Needs real Caffe (.caffe) and this Python's PyTorch.

    python benchmarks/bench_train.py [--rounds 3] [--iterations 120] [--outputs 200 1000] [--gpu 0]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import lmdb
import numpy as np

from caffefiles.proto import caffe_pb2

ROOT = Path(__file__).resolve().parents[1]
RECORDS, BATCH, DISPLAY = 5120, 256, 20
_RATE = re.compile(r"Iteration (\d+) \(([-+.e\d]+) iter/s")

NET = """
layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ mean_file: "mean" }}
  data_param {{ source: "db" batch_size: {batch} backend: LMDB }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "data" top: "fc" param {{ lr_mult: 1 decay_mult: 1 }}
  param {{ lr_mult: 2 decay_mult: 0 }}
  inner_product_param {{ num_output: {outputs} weight_filler {{ type: "gaussian" std: 0.0001 }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""
SOLVER = """
net: "net.prototxt" base_lr: 1e-7 lr_policy: "fixed" momentum: 0.9 weight_decay: 100 random_seed: 1 display: {display}
max_iter: {iterations} snapshot_prefix: "s" snapshot_after_train: false
"""


def write_data(folder: Path) -> None:
    """The LMDB and its mean."""
    random = np.random.default_rng(1)
    with lmdb.open(str(folder / "db"), map_size=1 << 32) as environment, environment.begin(write=True) as transaction:
        for i in range(RECORDS):
            pixels = random.integers(0, 256, 3 * 64 * 64, np.uint8).tobytes()
            datum = caffe_pb2.Datum(channels=3, height=64, width=64, data=pixels, label=int(random.integers(200)))
            transaction.put(b"%08d" % i, datum.SerializeToString())
    mean = caffe_pb2.BlobProto(num=1, channels=3, height=64, width=64)
    mean.data.extend([127.5] * (3 * 64 * 64))
    (folder / "mean").write_bytes(mean.SerializeToString())


def train(command: list[str], folder: Path, iterations: int) -> tuple[list[float], float]:
    """Rates of each ``DISPLAY`` iterations after the first, and processor seconds."""
    (folder / "solver.prototxt").write_text(SOLVER.format(display=DISPLAY, iterations=iterations))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "GLOG_logtostderr": "1", "GLOG_minloglevel": "0"}
    child = subprocess.Popen(
        [*command, "train", "-solver", "solver.prototxt"],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert child.stderr is not None
    log = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    if child.returncode:
        sys.exit(f"{command[0]} failed:\n{log[-2000:]}")
    return [float(rate) for n, rate in _RATE.findall(log) if int(n) > DISPLAY], usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=120)
    parser.add_argument("--outputs", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--gpu", default="", help="ours on this GPU; real Caffe stays on the CPU")
    options = parser.parse_args()
    real = ROOT / ".caffe" / "bin" / "caffe"
    if not real.exists():
        sys.exit("real Caffe is not here: make .caffe")
    ours = [sys.executable, "-m", "torchcaffe.tools.caffe", *(["-gpu", options.gpu] if options.gpu else [])]
    sides = {"real Caffe": [str(real)], "torchcaffe": ours}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, batch {BATCH}, {options.rounds} rounds")
    print(f"{'outputs':>8} {'side':>11} {'it/s':>7} {'slowest':>8} {'fastest':>8} {'cpu ms/it':>10}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder)
        for outputs in options.outputs:
            (folder / "net.prototxt").write_text(NET.format(batch=BATCH, outputs=outputs))
            rates: dict[str, list[float]] = {side: [] for side in sides}
            seconds: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(options.rounds):
                for side, command in sides.items():
                    _, short = train(command, folder, 1)
                    found, long = train(command, folder, options.iterations)
                    rates[side] += found
                    seconds[side].append((long - short) / (options.iterations - 1))
            for side in sides:
                print(
                    f"{outputs:8d} {side:>11} {statistics.median(rates[side]):7.1f} {min(rates[side]):8.1f} "
                    f"{max(rates[side]):8.1f} {1000 * statistics.median(seconds[side]):10.1f}"
                )
            a, b = (statistics.median(rates[side]) for side in sides)
            c, d = (statistics.median(seconds[side]) for side in sides)
            print(f"{outputs:8d} torchcaffe / real Caffe: {b / a:.2f} in rate, {d / c:.2f} in processor time")


if __name__ == "__main__":
    main()
