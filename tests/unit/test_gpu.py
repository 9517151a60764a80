"""What Caffe, CUDA and PyTorch say of GPU trouble, and what we make of it; which device is chosen."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from foolcaffe import gpu
from foolcaffe.caffelog import parse
from foolcaffe.errors import FoolCaffeError
from helpers import Road, run, succeeds


def cuda(code: int, text: str) -> str:
    """Caffe's CUDA_CHECK, as it is logged."""
    return f"syncedmem.cpp:71] Check failed: error == cudaSuccess ({code} vs. 0)  {text}"


TROUBLE = [
    (cuda(2, "out of memory"), "memory is too small", "batch_size"),
    (
        "math_functions.cu:26] Check failed: status == CUBLAS_STATUS_SUCCESS (3 vs. 0)  CUBLAS_STATUS_ALLOC_FAILED",
        "memory is too small",
        "batch_size",
    ),
    (cuda(209, "no kernel image is available for execution on the device"), "too new", "ENGINE=torch"),
    (cuda(98, "invalid device function"), "too new", "CUDA_PTX"),
    (cuda(35, "CUDA driver version is insufficient for CUDA runtime version"), "missing or too old", "newer driver"),
    (cuda(222, "the provided PTX was compiled with an unsupported toolchain."), "missing or too old", "460.27"),
    (cuda(100, "no CUDA-capable device is detected"), "no GPU that CUDA can see", "--gpus all"),
    ("common.cpp:66] Cannot use GPU in CPU-only Caffe: check mode.", "built without CUDA", "GPU=cpu"),
    (cuda(101, "invalid device ordinal"), "no GPU of that id", "nvidia-smi -L"),
    ("caffe.cpp:254] Multi-GPU execution not available - rebuild with USE_NCCL", "one GPU only", "USE_NCCL"),
    (cuda(46, "all CUDA-capable devices are busy or unavailable"), "is taken", "GPU=1"),
    ("parallel.cpp:171] Check failed: result == ncclSuccess (2 vs. 0)  unhandled system error", "NCCL", "--ipc=host"),
    (cuda(700, "an illegal memory access was encountered"), "failed while it computed", "Xid"),
    (cuda(30, "unknown error"), "CUDA failed", "make doctor"),
    (  # as the CUDA image says it on a machine without a driver
        "internal_thread.cpp:26] Check failed: error == cudaSuccess (35 vs. 0)  CUDA driver version is insufficient "
        "for CUDA runtime version",
        "even to train on the CPU",
        "CAFFE=cpu",
    ),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "memory is too small", "GPU=cpu"),
    ("RuntimeError: CUDA error: no kernel image is available for execution on the device", "too new", "GPU=cpu"),
]


@pytest.mark.parametrize(("said", "cause", "way_out"), TROUBLE)
def test_the_cause_and_the_way_out(said: str, cause: str, way_out: str) -> None:
    explained = gpu.explain(said)
    assert explained is not None
    assert cause in explained[0]
    assert way_out in explained[1]


@pytest.mark.parametrize("said", [line for line, _, _ in TROUBLE if "]" in line])
def test_the_cause_is_found_in_a_log(said: str) -> None:
    log = parse(
        [
            "I1120 20:00:01.123456    17 solver.cpp:239] Iteration 0 (0 iter/s, 0.5s/20 iters), loss = 6.9\n",
            f"F1120 20:00:02.123456    17 {said}\n",
            "*** Check failure stack trace: ***\n",
        ]
    )
    assert gpu.explain(log.fatal) == gpu.explain(said)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "data_transformer.cpp:168] Check failed: channels == datum_channels (3 vs. 1)",
        "db_lmdb.hpp:15] Check failed: mdb_status == 0 (2 vs. 0) No such file or directory",
        "softmax_loss_layer.cpp:47] Check failed: outer_num_ * inner_num_ == bottom[1]->count() (50 vs. 7)",
    ],
)
def test_what_is_no_gpu_trouble_is_not_called_so(said: str) -> None:
    assert gpu.explain(said) is None


def test_the_drivers_list() -> None:
    text = "0, NVIDIA H200, 143771, 143000, 550.54.15, 9.0\n1, Tesla K80, 11441, [N/A], 470.82.01\n\nNo devices\n"
    assert gpu.parse_smi(text) == [
        gpu.Gpu(0, "NVIDIA H200", 143771, 143000, "550.54.15", "9.0"),
        gpu.Gpu(1, "Tesla K80", 11441, 0, "470.82.01", ""),
    ]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A driver's device node, as a machine with a GPU has one."""
    path = tmp_path / "nvidiactl"
    path.touch()
    monkeypatch.setattr(gpu, "DEVICE_NODES", (path,))
    return path


def program(folder: Path, *lines: str) -> list[str]:
    """A ``caffe`` that answers ``device_query -gpu N``: no machine of ours shows these answers."""
    path = folder / "caffe"
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)
    return [str(path)]


def test_without_a_driver_auto_is_the_cpu_and_an_id_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "DEVICE_NODES", (tmp_path / "absent",))
    caffe = program(tmp_path, "exit 0")
    assert gpu.choose(caffe, "auto") == ""
    assert gpu.choose(caffe, "cpu") == ""
    for asked in ("0", "0,1", "all"):
        with pytest.raises(FoolCaffeError, match=r"no NVIDIA driver here[\s\S]*--gpus all[\s\S]*GPU=cpu"):
            gpu.choose(caffe, asked)


@pytest.mark.usefixtures("node")
def test_what_is_asked_for_reaches_caffe(tmp_path: Path) -> None:
    caffe = program(tmp_path, f'echo "$*" >> {tmp_path}/asked')
    assert gpu.choose(caffe, "auto") == "0"
    assert gpu.choose(caffe, "all") == "all"
    assert gpu.choose(caffe, "0,1") == "0,1"
    assert gpu.choose(caffe, "3") == "3"
    assert gpu.choose(caffe, "cpu") == ""
    asked = (tmp_path / "asked").read_text().split("device_query -gpu ")[1:]
    assert [int(a) for a in asked] == [0, 0, 0, 1, 3]


@pytest.mark.usefixtures("node")
def test_a_gpu_that_caffe_cannot_use_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    glog = "F1120 20:00:02.123456    17 "
    caffe = program(
        tmp_path,
        'if [ "$3" = 1 ]; then',
        f"echo '{glog}{cuda(101, 'invalid device ordinal')}' >&2",
        "else",
        f"echo '{glog}common.cpp:66] Cannot use GPU in CPU-only Caffe: check mode.' >&2",
        "fi; echo '*** Check failure stack trace: ***' >&2; exit 134",
    )
    assert gpu.choose(caffe, "auto") == ""
    assert "not on the GPU that is here: this Caffe was built without CUDA" in capsys.readouterr().err
    with pytest.raises(FoolCaffeError, match=r"--gpu 1: GPU 1: there is no GPU of that id\n.*nvidia-smi -L"):
        gpu.choose(caffe, "1")
    with pytest.raises(FoolCaffeError, match="--gpu all: GPU 0: this Caffe was built without CUDA"):
        gpu.choose(caffe, "all")


@pytest.mark.parametrize(
    ("asked", "said"), [("0,0", "twice"), ("gpu", "expected auto"), ("0,", "expected auto"), ("²", "expected auto")]
)
def test_what_is_no_id(asked: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FoolCaffeError, match=said):
        gpu.choose([os.devnull], asked)


@pytest.mark.usefixtures("node")
def test_real_caffe_without_cuda_names_the_cause(engine: str) -> None:
    from foolcaffe.engine import command

    if engine != "caffe":
        pytest.skip("about real Caffe; run in .caffe/bin/python")
    libraries = subprocess.run(["ldd", *command("caffe")], capture_output=True, text=True, check=True).stdout
    if "libcudart" in libraries:
        pytest.skip("this Caffe was built with CUDA")
    with pytest.raises(FoolCaffeError, match="--gpu 0: GPU 0: this Caffe was built without CUDA"):
        gpu.choose(command("caffe"), "0")


def test_a_failed_training_names_the_cause_and_keeps_caffes_words(tmp_path: Path) -> None:
    from foolcaffe.train import _raise_if_failed

    log = parse([f"F1120 20:00:02.123456    17 {cuda(2, 'out of memory')}\n"])
    with pytest.raises(FoolCaffeError) as raised:
        _raise_if_failed(log, log, -6, tmp_path)
    assert raised.value.message == "caffe train failed: the GPU's memory is too small for this"
    assert "lower batch_size" in raised.value.hint
    assert "Caffe said: syncedmem.cpp:71: Check failed: error == cudaSuccess (2 vs. 0)" in raised.value.hint
    assert str(tmp_path / "train.log") in raised.value.hint


def test_a_model_rendered_beside_a_gpu_trains_without_one(road: Road, tmp_path: Path) -> None:
    copy = road.copy(tmp_path)
    for path in (*copy.model.glob("*_iter_*"), copy.model / "trained.json"):
        path.unlink()
    solver = copy.model / "solver.prototxt"
    before = solver.read_text()
    solver.write_text(before.replace("solver_mode: CPU", "solver_mode: GPU"))
    assert "solver_mode: GPU" in solver.read_text()
    done = run("train", copy.model, "--gpu", "cpu")
    succeeds(done)
    assert f"{solver}: solver_mode is CPU now" in done.stderr
    assert "on the CPU" in done.stderr
    assert solver.read_text() == before  # nothing else changed, the comment is kept
