from __future__ import annotations

import math

import pytest

from foolcaffe.caffelog import parse

# Lines as real Caffe 1.0 prints them; the numbers are of a run with std 0.01 and a rate of 1e-4.
HEAD = """\
I1120 18:58:19.386213  7517 solver.cpp:347] Iteration 0, Testing net (#0)
I1120 18:58:19.400001  7517 solver.cpp:414]     Test net output #0: loss = 3.04187 (* 1 = 3.04187 loss)
I1120 18:58:19.400002  7517 solver.cpp:414]     Test net output #1: top1 = 0.0228571
I1120 18:58:19.403000  7517 solver.cpp:239] Iteration 0 (-4.2e-45 iter/s, 0.014s/20 iters), loss = 3.15863
I1120 18:58:19.403100  7517 solver.cpp:258]     Train net output #0: loss = 3.15863 (* 1 = 3.15863 loss)
I1120 18:58:19.403200  7517 sgd_solver.cpp:112] Iteration 0, lr = 1e-07
"""


def line(iteration: int, loss: str) -> str:
    prefix = "I1120 18:58:28.268540  7517 solver.cpp:239]"
    return f"{prefix} Iteration {iteration} (227.273 iter/s, 0.088s/20 iters), loss = {loss}\n"


def test_losses_tests_and_end() -> None:
    text = HEAD + line(20, "1.75") + "I1120 1 1 solver.cpp:332] Optimization Done.\n"
    log = parse(text.splitlines())
    assert log.loss == [(0, 3.15863), (20, 1.75)]
    assert log.tests == {0: {"loss": 3.04187, "top1": 0.0228571}}
    assert log.done
    assert not log.stopped
    assert not log.diverged


def test_a_resumed_run_replaces_what_came_after_it() -> None:
    log = parse((HEAD + line(20, "1.75") + line(40, "1.5") + line(20, "1.7") + line(40, "1.4")).splitlines())
    assert log.loss == [(0, 3.15863), (20, 1.7), (40, 1.4)]


@pytest.mark.parametrize("loss", ["87.3365", "nan", "-nan", "inf", "80", "6.4"])
def test_divergence_is_seen(loss: str) -> None:
    log = parse((HEAD + line(20, loss)).splitlines())
    assert log.diverged


@pytest.mark.parametrize("loss", ["6.2", "4.3e-05", "3.2"])
def test_a_sane_loss_is_no_divergence(loss: str) -> None:
    log = parse((HEAD + line(20, loss)).splitlines())
    assert log.loss[-1] == (20, float(loss))
    assert not log.diverged


def test_a_bad_start_is_told_from_a_divergence() -> None:
    log = parse([line(0, "85.9")])
    assert log.bad_start
    assert not log.diverged


def test_a_failed_check_and_an_early_stop() -> None:
    log = parse(
        [
            "F1120 18:58:28.2  7517 data_layer.cpp:9] Check failed: a == b (1 vs. 2)",
            "I1 solver.cpp:1] Optimization stopped early.",
        ]
    )
    assert log.fatal == "data_layer.cpp:9: Check failed: a == b (1 vs. 2)"
    assert log.stopped


def test_nan_is_nan() -> None:
    assert math.isnan(parse([line(20, "nan")]).loss[0][1])
