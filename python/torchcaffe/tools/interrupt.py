"""Ctrl-C while a program starts. Imports nothing else, so that it can be called before what takes its time."""

import signal


def end_by_interrupt() -> None:
    """Let SIGINT end this process by the signal, as it ends Caffe's programs, until a solver takes it.

    Python's own way, an exception at any place, comes out of a half-done import of PyTorch as something else.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
