"""The prefetching thread: order, errors, its end."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading

import pytest

from caffefiles.errors import CaffeError
from torchcaffe.data.prefetch import Prefetcher


def test_order_is_kept_and_no_more_is_made_than_asked() -> None:
    made = []
    counter = itertools.count()

    def make() -> int:
        made.append(next(counter))
        return made[-1]

    prefetcher = Prefetcher(make, 3)
    assert [prefetcher.take() for _ in range(7)] == list(range(7))
    prefetcher.close()
    assert len(made) <= 7 + 3 + 2


def test_an_error_is_raised_where_the_batch_is_taken_and_again() -> None:
    numbers = iter([1])

    def make() -> int:
        for number in numbers:
            return number
        raise CaffeError("record 'k' is damaged")

    prefetcher = Prefetcher(make, 2)
    assert prefetcher.take() == 1
    for _ in range(2):
        with pytest.raises(CaffeError, match="record 'k' is damaged"):
            prefetcher.take()


def test_the_thread_ends_with_the_object() -> None:
    before = threading.active_count()
    prefetcher = Prefetcher(lambda: 1, 2)
    prefetcher.take()
    del prefetcher
    assert threading.active_count() == before


def test_the_interpreter_ends_quietly_while_batches_are_made() -> None:
    code = (
        "import numpy as np\nfrom torchcaffe.data.prefetch import Prefetcher\nimport torch\n"
        "p = Prefetcher(lambda: torch.from_numpy(np.random.rand(500, 500) @ np.random.rand(500, 500)), 4)\np.take()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=_environment())
    assert (done.returncode, done.stderr) == (0, "")


def _environment() -> dict[str, str]:
    import os

    import torchcaffe

    root = os.path.dirname(os.path.dirname(torchcaffe.__file__))  # noqa: PTH120
    return {**os.environ, "PYTHONPATH": root}
