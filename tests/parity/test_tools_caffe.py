"""``caffe train|test|time|device_query``: log lines, flags, signals, failures, beside real Caffe's."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from programs import caffe, check_same_log, cleaned, environment, needs_caffe, ours
from training import LOGGED_NET, LOGGED_RUNS, prepare_logged

from torchcaffe.tools import caffe as caffe_tool
from torchcaffe.tools import flags

GOLDENS = Path(__file__).parent / "goldens"
GLOG_LINE = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} [ \d]{4}\d \S+\.(cpp|hpp):\d+\] ")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", LOGGED_RUNS)
def test_train_says_what_real_caffe_says(name: str, folder: Path) -> None:
    prepare_logged(folder, LOGGED_RUNS[name])
    done = ours("caffe", "train", "--solver=solver.prototxt")
    assert done.returncode == 0, done.stderr
    expected = (GOLDENS / f"log_{name}.txt").read_text().splitlines()[1:]
    check_same_log(cleaned(done.stderr), expected)
    assert any(GLOG_LINE.match(line) for line in done.stderr.splitlines())


@needs_caffe
def test_test_and_time_say_what_real_caffe_says(folder: Path) -> None:
    solver = prepare_logged(folder)
    assert ours("caffe", "train", "-solver", solver).returncode == 0
    score = ("test", "-model", "net.prototxt", "--weights=s_iter_12.caffemodel", "-iterations", 3, "-stage", "b")
    timing = ("time", "-model=net.prototxt", "-iterations=2", "--phase", "TEST")
    for arguments in (score, timing):
        real, own = caffe("caffe", *arguments), ours("caffe", *arguments)
        assert (real.returncode, own.returncode) == (0, 0), own.stderr
        lines = [
            [re.sub(r"[-+.e\d]+ ms|(?<=Initial loss: ).*", "T", line) for line in cleaned(done.stderr)]
            for done in (own, real)
        ]
        check_same_log(*lines)


def test_a_signal_leaves_a_snapshot_that_the_run_goes_on_from(folder: Path) -> None:
    prepare_logged(folder)
    solver = folder / "solver.prototxt"
    text = solver.read_text().replace("snapshot: 5", "").replace("max_iter: 12", "max_iter: 100000000")
    solver.write_text(text.replace("test_interval: 4", "test_interval: 1000000000"))
    command = [sys.executable, "-m", "torchcaffe.tools.caffe", "train", "-solver", str(solver)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
    assert child.stderr is not None
    log = []
    for line in child.stderr:
        log.append(line)
        if "Iteration 30 (" in line:
            child.send_signal(signal.SIGHUP)
        if "Snapshotting solver state" in line:
            child.send_signal(signal.SIGINT)
            break
    rest = child.stderr.read()
    assert child.wait(60) == 0
    child.stderr.close()
    states = [
        int(n) for n in re.findall(r"Snapshotting solver state to .*_iter_(\d+)\.solverstate", "".join(log) + rest)
    ]
    assert len(states) == 2
    assert 30 <= states[0] <= states[1]
    assert "solver.cpp:311] Optimization stopped early.\n" in rest
    assert "caffe.cpp:250] Optimization Done.\n" in rest
    text = solver.read_text()
    solver.write_text(text.replace("max_iter: 100000000", f"max_iter: {states[1] + 3}"))
    done = ours("caffe", "train", "-solver", solver, "-snapshot", f"s_iter_{states[1]}.solverstate")
    assert done.returncode == 0, done.stderr
    assert f"caffe.cpp:235] Resuming from s_iter_{states[1]}.solverstate" in done.stderr
    assert (folder / f"s_iter_{states[1] + 3}.caffemodel").exists()


def takes_sigint(child: subprocess.Popen[str]) -> bool:
    """Has the process a handler for SIGINT? Python has from its start, our program no longer, a solver again."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return caught is not None and bool(int(caught.group(1), 16) >> (signal.SIGINT - 1) & 1)


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2, 0.8])
def test_an_early_interrupt_ends_it_as_it_ends_caffe(folder: Path, seconds: float) -> None:
    """By the signal, while PyTorch is imported; or, once a solver has taken the signal, with a snapshot."""
    prepare_logged(folder)
    solver = folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("max_iter: 12", "max_iter: 100000000"))
    command = [sys.executable, "-m", "torchcaffe.tools.caffe", "train", "-solver", str(solver)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
    for state in (True, False):
        while takes_sigint(child) is not state:
            time.sleep(0.001)
    time.sleep(seconds)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    if "Starting Optimization" in said:
        assert "Optimization stopped early." in said
        assert child.returncode == 0, said
    else:
        assert child.returncode == -signal.SIGINT, said
    assert "Traceback" not in said


def test_sigint_effect_none_is_obeyed(folder: Path) -> None:
    prepare_logged(folder)
    solver = folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("max_iter: 12", "max_iter: 3000").replace("snapshot: 5", ""))
    command = [sys.executable, "-m", "torchcaffe.tools.caffe", "train", "-solver", str(solver), "-sigint_effect=none"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
    assert child.stderr is not None
    for line in child.stderr:
        if "Iteration 3 (" in line:
            child.send_signal(signal.SIGINT)
            break
    rest = child.stderr.read()
    child.stderr.close()
    assert child.wait(60) == 0
    assert "stopped early" not in rest
    assert "Iteration 3000, loss" in rest


def test_log_level_is_obeyed(folder: Path) -> None:
    prepare_logged(folder)
    assert ours("caffe", "train", "-solver", "solver.prototxt", GLOG_minloglevel="1").stderr == ""
    done = ours("caffe", "train", "-solver", "nowhere.prototxt", GLOG_minloglevel="3")
    assert (done.returncode, done.stderr[0]) == (1, "F")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "Need a solver definition to train."),
        (["train", "-solver", "x", "-weights", "a", "-snapshot", "b"], "snapshot to resume training or weights"),
        (["train", "-solver", "nowhere"], "cannot use 'nowhere': no such file"),
        (["train", "-solver", "solver.prototxt", "-snapshot", "no.solverstate"], "'no.solverstate': no such file"),
        (["train", "-solver", "solver.prototxt", "-weights", "no.caffemodel"], "'no.caffemodel': no such file"),
        (["train", "-solver", "solver.prototxt", "-sigint_effect", "x"], 'Invalid signal effect "x"'),
        (["train", "-solver", "solver.prototxt", "-gpu", "first"], "expected all, or ids"),
        (["train", "-solver", "solver.prototxt", "--precision", "half"], "expected float32, tf32, bf16"),
        (["train", "-solver", "solver.prototxt", "--precision", "bf16"], "needs -gpu"),
        (["test", "-model", "net.prototxt"], "Need model weights to score."),
        (["test"], "Need a model definition to score."),
        (["time"], "Need a model definition to time."),
        (["time", "-model", "net.prototxt", "-phase", "x"], 'phase must be "TRAIN" or "TEST"'),
        (["time", "-model", "net.prototxt", "-iterations", "0"], "expected at least 1"),
        (["tarin"], "Unknown action: tarin"),
    ],
)
def test_a_failure_is_one_line_that_names_the_cause(
    arguments: list[str], said: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepare_logged(folder)
    assert caffe_tool.main(arguments) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert GLOG_LINE.match(last), last
    assert last[0] == "F"
    assert said in last


def test_a_damaged_database_a_missing_one_and_a_label_out_of_range_end_the_training(folder: Path) -> None:
    solver = prepare_logged(folder)
    net = folder / "net.prototxt"
    whole = (folder / "db" / "data.mdb").read_bytes()

    net.write_text(LOGGED_NET.replace("num_output: 5", "num_output: 3"))
    for break_it, said in (
        (lambda: None, "layer 'loss' (SoftmaxWithLoss)"),
        (lambda: (folder / "db" / "data.mdb").write_bytes(whole[: len(whole) // 2]), "'db' is cut short"),
        (lambda: (folder / "db" / "data.mdb").write_bytes(b"\0" * 9999), "'db' is no readable LMDB"),
        (lambda: (folder / "db").rename(folder / "gone"), "there is no LMDB folder 'db'"),
        (lambda: net.write_text("layer { name: 'x' type: 'InnerProdukt' }"), "'InnerProduct'"),
        (lambda: solver.write_text("net: 'net.prototxt' max_itr: 3"), "did you mean 'max_iter'?"),
    ):
        break_it()
        done = ours("caffe", "train", "-solver", "solver.prototxt")
        last = done.stderr.splitlines()[-1]
        assert (done.returncode, last[0]) == (1, "F")
        assert said in last


def test_the_gpu_is_used_where_the_solver_says_so_and_only_there(folder: Path) -> None:
    """Its default is GPU, yet a solver that says nothing is trained on the CPU, as in Caffe."""
    import torch

    solver = prepare_logged(folder)
    text = solver.read_text()
    solver.write_text(text.replace("solver_mode: CPU", ""))
    assert "Use CPU." in ours("caffe", "train", "-solver", solver).stderr
    solver.write_text(text.replace("solver_mode: CPU", "solver_mode: GPU"))
    done = ours("caffe", "train", "-solver", solver)
    if not torch.cuda.is_available():
        assert (done.returncode, done.stderr.splitlines()[-1][0]) == (1, "F")
        assert "PyTorch sees no GPU" in done.stderr.splitlines()[-1]
    else:
        assert "Use GPU with device ID 0" in done.stderr


FLAGS = (flags.Flag("name", "x", "a name"), flags.Flag("count", 3, "a count"), flags.Flag("on", False, "a switch"))


@pytest.mark.parametrize(
    ("arguments", "values", "rest"),
    [
        ([], {"name": "x", "count": 3, "on": False}, []),
        (["-name", "y", "a", "--count=0x10", "b"], {"name": "y", "count": 16}, ["a", "b"]),
        (["--name=a=b", "--on", "c"], {"name": "a=b", "on": True}, ["c"]),
        (["-on=yes", "-noon", "-"], {"on": False}, ["-"]),
        (["--count", "-7", "--", "-name"], {"count": -7}, ["-name"]),
        (["--logtostderr=1", "--on=true"], {"on": True}, []),
    ],
)
def test_flags_are_read_as_gflags_reads_them(arguments: list[str], values: dict[str, object], rest: list[str]) -> None:
    got, others = flags.parse(FLAGS, arguments)
    assert {name: got[name] for name in values} == values
    assert others == rest


@needs_caffe
@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "-nope", "3"],
        ["train", "-iterations", "x"],
        ["train", "-iterations=99999999999"],
        ["train", "-solver"],
        ["-version"],
    ],
)
def test_mistakes_in_flags_are_real_caffes_words(arguments: list[str]) -> None:
    real, own = caffe("caffe", *arguments), ours("caffe", *arguments)
    assert (own.returncode, own.stdout, own.stderr) == (real.returncode, real.stdout, real.stderr)


def test_help_and_device_query() -> None:
    assert "commands:" in ours("caffe", "--help").stdout
    done = ours("caffe", "device_query", "-gpu", "0")
    import torch

    if not torch.cuda.is_available():
        assert done.returncode == 1
        assert "PyTorch sees no GPU" in done.stderr.splitlines()[-1]
    else:
        assert "Device id:                     0" in done.stderr


def test_two_runs_in_one_process_do_not_mix_their_logs(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    prepare_logged(folder)
    for _ in range(2):
        assert caffe_tool.main(["train", "-solver", "solver.prototxt"]) == 0
        assert capfd.readouterr().err.count("Optimization Done.\n") == 2
