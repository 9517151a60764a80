"""A thread that makes batches ahead of the training. Source: ``base_data_layer.cpp``."""

from __future__ import annotations

import queue
import threading
import weakref
from typing import Any, Callable


class Prefetcher:
    """Calls ``make()`` over and over in a thread of its own, at most ``ahead`` results ahead of :meth:`take`.

    Its errors are raised by :meth:`take`. The thread ends with the object (or :meth:`close`).

    Args:
        make: makes the next batch; must not hold a reference to the Prefetcher.
        ahead: how many may wait.
    """

    def __init__(self, make: Callable[[], Any], ahead: int) -> None:
        self._ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(max(ahead, 1))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=_work, args=(make, self._ready, self._stop), daemon=True)
        self._finalizer = weakref.finalize(self, _finish, self._ready, self._stop, self._thread)
        self._thread.start()

    def take(self) -> Any:
        """The next batch; waits for it."""
        result, error = self._ready.get()
        if error is not None:
            self._ready.put((None, error))  # again for whoever asks again: the thread has ended
            raise error
        return result

    def close(self) -> None:
        """End the thread and wait for it."""
        self._finalizer()


def _work(make: Callable[[], Any], ready: Any, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            item: tuple[Any, BaseException | None] = (make(), None)
        except BaseException as error:
            item = (None, error)
        ready.put(item)
        if item[1] is not None:
            return


def _finish(ready: Any, stop: threading.Event, thread: threading.Thread) -> None:
    """Runs at the object's end, or the interpreter's: a thread that still computes then would crash it."""
    stop.set()
    while True:  # a thread that waits for room must see the stop
        try:
            ready.get_nowait()
        except queue.Empty:
            break
    if thread is not threading.current_thread():
        thread.join(timeout=30)
