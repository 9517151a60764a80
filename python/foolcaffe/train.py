"""Train a rendered model with ``caffe train``: progress, log, resuming, a plot, and what to change if it diverges.

``python -m foolcaffe.train build/<dataset>/<model>``. Ctrl-C leaves a snapshot; the same command goes on from it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from caffefiles.files import sha256, write_json
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_text, save_text
from foolcaffe import engine, gpu
from foolcaffe.caffelog import TrainLog, parse
from foolcaffe.errors import EXIT_INTERRUPTED, FoolCaffeError, run_cli
from foolcaffe.locks import locked
from foolcaffe.lossplot import plot_loss
from foolcaffe.options import command_line
from foolcaffe.progress import Progress
from foolcaffe.snapshots import latest

RECORD = "trained.json"
"""Written last: a folder that has it holds a finished model."""

RATE_TOO_HIGH = (
    "the learning rate is far too high for this input, as the post found: AlexNet's 0.01 explodes at once, "
    "1e-7 does not\nlower base_lr in solver.prototxt (about 1e-7 for 64×64 pixels of 0..255)"
)
INIT_TOO_LARGE = (
    "the first loss is {first:.1f}, far above -log(1/classes): the weights begin too large, as the post found "
    "with std 0.01\nlower the gaussian filler's std in train_val.prototxt (the post: 0.0001)"
)


def train(folder: Path, asked_gpu: str = "auto", quiet: bool = False) -> int:
    """Train the model in ``folder`` until its solver's ``max_iter``, from its latest snapshot if there is one.

    Args:
        folder: holds ``solver.prototxt`` as :mod:`foolcaffe.render` writes it; everything is written there.
        asked_gpu: ``auto``, ``cpu``, ``all``, or ids.
        quiet: no progress.

    Returns:
        0 when the model is finished, 130 when it was interrupted and left a snapshot.

    Raises:
        FoolCaffeError: Caffe failed, the run diverged, or another run is at work here.
    """
    solver_file = folder / "solver.prototxt"
    solver = read_text(solver_file, caffe_pb2.SolverParameter(), "SolverParameter")
    prefix = Path(solver.snapshot_prefix)
    command = engine.command("caffe")
    device = gpu.choose(command, asked_gpu)
    busy = FoolCaffeError(f"another training is at work in {folder}", "wait until it has ended, or end it")
    with locked(folder / ".lock", str(folder), error=busy) as lock:
        _mode_follows(solver_file, solver, bool(device))
        snapshot, problems = latest(prefix)
        for problem in problems:
            print(f"not used: {problem}", file=sys.stderr)
        start = snapshot.iteration if snapshot else 0
        arguments = [*command, "train", "-solver", str(solver_file)]
        if snapshot:
            arguments += ["-snapshot", str(snapshot.state)]
        if device:
            arguments += ["-gpu", device]
        if not quiet:
            print(
                f"training {folder} on {'GPU ' + device if device else 'the CPU'}, "
                + (f"on from iteration {start}" if snapshot else "from the beginning")
                + f" to {solver.max_iter}; log: {folder / 'train.log'}",
                file=sys.stderr,
            )
        seconds = -time.monotonic()
        log, code, interrupted = _run(arguments, folder / "train.log", solver.max_iter, start, lock, quiet)
        seconds += time.monotonic()
        whole = parse((folder / "train.log").read_text("utf-8", "replace").splitlines())
        if whole.loss:
            plot_loss(folder / "loss.png", whole, _title(folder, solver))
        _raise_if_failed(log, whole, 0 if interrupted else code, folder)
        finished, _ = latest(prefix)
        if log.stopped or not log.done or finished is None or finished.iteration < solver.max_iter:
            at = f"a snapshot of iteration {finished.iteration} was left" if finished else "no snapshot was left"
            print(f"stopped before the end; {at}; the same command goes on from there", file=sys.stderr)
            return EXIT_INTERRUPTED
        tests = whole.tests[max(whole.tests)] if whole.tests else {}
        write_json(
            folder / RECORD,
            {
                "model": folder.name,
                "weights": finished.weights.name,
                "sha256": sha256(finished.weights),
                "iterations": finished.iteration,
                "resumed_from": start,
                "seconds": round(seconds, 1),
                "engine": engine.name(),
                "device": f"GPU {device}" if device else "CPU",
                "seed": int(solver.random_seed),
                "base_lr": _exact(solver.base_lr),
                "weight_decay": _exact(solver.weight_decay),
                "first_loss": whole.loss[0][1],
                "last_loss": whole.loss[-1][1],
                "test": tests,
            },
        )
    if not quiet:
        print(
            f"trained: {finished.weights}; loss {whole.loss[0][1]:.2f} → {whole.loss[-1][1]:.2f}"
            + "".join(f", {name} {100 * tests[name]:.1f} %" for name in ("top1", "top5") if name in tests)
            + f"; plot: {folder / 'loss.png'}",
            file=sys.stderr,
        )
    return 0


def _exact(value: float) -> float:
    return float(f"{value:.6g}")  # a float32 field read as double shows digits that nobody wrote


def _short(value: float) -> str:
    return re.sub(r"e([+-])0+", r"e\1", f"{value:.3g}").replace("e+", "e")


def _title(folder: Path, solver: Any) -> str:
    return (
        f"{folder.parent.name}: {folder.name}, rate {_short(solver.base_lr)}, weight decay {solver.weight_decay:.4g}, "
        f"seed {solver.random_seed}"
    )


def _raise_if_failed(log: TrainLog, whole: TrainLog, code: int, folder: Path) -> None:
    if whole.diverged:
        hint = INIT_TOO_LARGE.format(first=whole.loss[0][1]) if whole.bad_start else RATE_TOO_HIGH
        iteration, loss = whole.loss[-1]
        raise FoolCaffeError(
            f"the training diverged: the loss is {loss:.4g} at iteration {iteration}",
            hint + f"\nthen begin anew: remove {folder}/*_iter_*",
        )
    if whole.bad_start:
        print("warning: " + INIT_TOO_LARGE.format(first=whole.loss[0][1]), file=sys.stderr)
    if log.fatal or code:
        free = os.statvfs(folder)
        if free.f_bavail * free.f_frsize < 1 << 24:
            raise FoolCaffeError(
                f"caffe train failed and the disk of {folder} is full",
                "make room and run it again: it goes on from the latest whole snapshot",
            )
        trouble = gpu.explain(log.fatal)
        if trouble:
            raise FoolCaffeError(
                f"caffe train failed: {trouble[0]}",
                f"{trouble[1]}\nCaffe said: {log.fatal}\nthe whole log is {folder / 'train.log'}",
            )
        tail = log.fatal or f"it ended with {'signal ' + str(-code) if code < 0 else 'exit code ' + str(code)}"
        raise FoolCaffeError(
            f"caffe train failed: {tail}",
            f"the whole log is {folder / 'train.log'}; is it about the data, `tools/validate_lmdb.sh {folder.parent}` "
            "compares the LMDBs and the mean with their lists",
        )


def _mode_follows(solver_file: Path, solver: Any, on_gpu: bool) -> None:
    """Caffe obeys ``solver_mode`` where no ``-gpu`` is given: a model rendered beside a GPU would not train without."""
    modes = solver.DESCRIPTOR.fields_by_name["solver_mode"].enum_type.values_by_name
    name = "GPU" if on_gpu else "CPU"
    if solver.solver_mode != modes[name].number:
        solver.solver_mode = modes[name].number
        comment = [line[1:].strip() for line in solver_file.read_text("utf-8").splitlines() if line.startswith("#")]
        save_text(solver_file, solver, "\n".join(comment))
        print(f"{solver_file}: solver_mode is {name} now, for that is where it trains", file=sys.stderr)


def _run(
    arguments: list[str], log_file: Path, total: int, start: int, lock: int, quiet: bool
) -> tuple[TrainLog, int, bool]:
    """Run Caffe, keep its log, show its progress; the first Ctrl-C lets it leave a snapshot, a second ends it.

    Returns:
        the log, the exit code, and whether it was interrupted: one that is, before it has begun, ends by the signal.
    """
    log = TrainLog()
    environment = engine.child_environment(GLOG_logtostderr="1", GLOG_minloglevel="0")
    # The child keeps the lock open: were this process killed, a second run could not start beside the first.
    with log_file.open("ab") as out, Progress(total, "iterations", "train", quiet, start) as progress:
        child: subprocess.Popen[bytes] | None = None
        interrupts = 0

        def forward(signum: int, frame: object) -> None:
            nonlocal interrupts
            interrupts += 1
            progress.say("leaving a snapshot …" if interrupts == 1 else "ending at once")
            if child is not None:
                child.send_signal(signal.SIGINT if interrupts == 1 else signal.SIGKILL)

        before = {s: signal.signal(s, forward) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            child = subprocess.Popen(
                arguments,
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
                pass_fds=(lock,),
            )
            if interrupts:  # while it was started
                child.send_signal(signal.SIGINT)
            assert child.stderr is not None
            for raw in child.stderr:
                out.write(raw)
                out.flush()
                line = raw.decode("utf-8", "replace")
                log.feed(line)
                if match := re.search(r"Iteration (\d+)", line):
                    tests = log.tests.get(max(log.tests, default=-1), {})
                    note = f"loss {log.loss[-1][1]:.3g}" if log.loss else ""
                    note += f", top-1 {100 * tests['top1']:.1f} %" if "top1" in tests else ""
                    progress.advance(max(0, int(match.group(1)) - progress.done), note)
            code = child.wait()
            child.stderr.close()
        except BaseException:
            if child is not None:
                child.kill()
                child.wait()
            raise
        finally:
            for s, handler in before.items():
                signal.signal(s, handler)
    return log, code, interrupts > 0


def main(arguments: list[str]) -> int:
    """Parse, train."""
    parser = command_line("foolcaffe.train", __doc__, "gpu quiet")
    parser.add_argument("folder", type=Path, metavar="DIR", help="build/<dataset>/<model>, rendered")
    options = parser.parse_args(arguments)
    engine.quiet = options.quiet
    return train(options.folder, options.gpu, options.quiet)


if __name__ == "__main__":
    run_cli(main, "foolcaffe.train")
