"""How each of Caffe's programs begins and ends: log to standard error, a failure in one F line, an exit code."""

from __future__ import annotations

import os
import sys
from typing import Callable

from caffefiles.errors import EXIT_FAILED, EXIT_INTERRUPTED, CaffeError, os_error_message
from torchcaffe.tools import glog


class CheckError(CaffeError):
    """A failed check of the command line, with its place in Caffe."""

    def __init__(self, at: str, message: str) -> None:
        super().__init__(message)
        self.at = at


def run(program: str, work: Callable[[], int]) -> int:
    """Call ``work`` with the log on; a user's mistake becomes one F line and code 1, a bug a traceback.

    Args:
        program: the name of Caffe's source, ``caffe.cpp`` say.
        work: returns the exit code.
    """
    try:
        with glog.to_stderr():
            return work()
    except CheckError as error:
        glog.fatal(error.at, f"Check failed: {error.message}")
    except CaffeError as error:
        hint = f" ({error.hint})" if error.hint else ""
        glog.fatal(f"{program}:1", f"Check failed: {error.message}{hint}")
    except BrokenPipeError:  # whoever read our log is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        return EXIT_FAILED
    except OSError as error:
        glog.fatal(f"{program}:1", f"Check failed: {os_error_message(error)}")
    except MemoryError as error:
        glog.fatal(f"{program}:1", f"Check failed: out of memory {error}")
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except RuntimeError as error:
        if "out of memory" not in str(error) and "not enough memory" not in str(error):
            raise
        glog.fatal(f"{program}:1", f"Check failed: out of memory: {error} (a smaller batch_size needs less)")
    return EXIT_FAILED
