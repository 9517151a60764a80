"""``caffe train|test|time|device_query`` with Caffe's flags and log. Source: ``tools/caffe.cpp``.

``python -m torchcaffe.tools.caffe``, or ``torchcaffe``. In addition: ``--precision float32|tf32|bf16`` (GPU).
"""

from __future__ import annotations

from torchcaffe.tools.interrupt import end_by_interrupt

if __name__ == "__main__":
    end_by_interrupt()

import sys
from typing import Callable

import torchcaffe
from torchcaffe import log
from torchcaffe.tools import flags
from torchcaffe.tools.program import CheckError, run

USAGE = """caffe: command line brew
usage: caffe <command> <args>

commands:
  train           train or finetune a model
  test            score a model
  device_query    show GPU diagnostic information
  time            benchmark model execution time"""

FLAGS = (
    flags.Flag("gpu", "", "Optional; run in GPU mode on the given device ID; 'all' where there is one."),
    flags.Flag("solver", "", "The solver definition protocol buffer text file."),
    flags.Flag("model", "", "The model definition protocol buffer text file."),
    flags.Flag("phase", "", "Optional; network phase (TRAIN or TEST). Only used for 'time'."),
    flags.Flag("level", 0, "Optional; network level."),
    flags.Flag("stage", "", "Optional; network stages (not to be confused with phase), separated by ','."),
    flags.Flag("snapshot", "", "Optional; the snapshot solver state to resume training."),
    flags.Flag(
        "weights",
        "",
        "Optional; the pretrained weights to initialize finetuning, separated by ','. "
        "Cannot be set simultaneously with snapshot.",
    ),
    flags.Flag("iterations", 50, "The number of iterations to run."),
    flags.Flag(
        "sigint_effect", "stop", "Optional; action to take when a SIGINT signal is received: snapshot, stop or none."
    ),
    flags.Flag(
        "sighup_effect",
        "snapshot",
        "Optional; action to take when a SIGHUP signal is received: snapshot, stop or none.",
    ),
    flags.Flag(
        "precision",
        "float32",
        "Optional, GPU only; float32, tf32 (products of 10-bit mantissas) or bf16 (of 8-bit ones).",
    ),
)


def _command(name: str) -> Callable[[dict[str, flags.Value]], int]:
    """Return a command's function. Its imports wait until it is known, so that ``--help`` is quick."""
    if name != "device_query":
        from torchcaffe.layers import python

        python.install = torchcaffe.install
    if name == "train":
        from torchcaffe.tools.train import train

        return train
    if name == "test":
        from torchcaffe.tools.score import score

        return score
    if name == "time":
        from torchcaffe.tools.timing import timing

        return timing
    from torchcaffe.tools.device_query import device_query

    return device_query


COMMANDS = ("device_query", "test", "time", "train")


def _unknown(name: str) -> CheckError:
    log.error("caffe.cpp:78", "Available caffe actions:")
    for known in COMMANDS:
        log.error("caffe.cpp:81", "\t%s", known)
    return CheckError("caffe.cpp:83", f"Unknown action: {name}")


def main(arguments: list[str] | None = None) -> int:
    """Parse, run; the exit code. Without ``arguments``, those of the process."""
    if arguments is None:
        end_by_interrupt()
    version = f"caffe version {torchcaffe.__version__}"
    given = sys.argv[1:] if arguments is None else arguments
    values, rest = flags.read(USAGE, FLAGS, given, version)
    if len(rest) != 1:
        sys.stdout.write(flags.usage(USAGE, FLAGS))
        return 0 if not rest else 1

    def work() -> int:
        if rest[0] not in COMMANDS:
            raise _unknown(rest[0])
        return _command(rest[0])(values)

    return run("caffe.cpp", work)


if __name__ == "__main__":
    sys.exit(main())
