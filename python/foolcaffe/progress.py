"""Progress: a bar on a terminal, plain lines otherwise, nothing when quiet. Always on standard error."""

from __future__ import annotations

import sys
import time
from typing import Any


class Progress:
    """Counts work. A bar where standard error is a terminal, else a line about every ten seconds.

    Args:
        total: how much there is to do.
        unit: what is counted, ``images`` say.
        label: printed first.
        quiet: print nothing.
        initial: how much is done already.
    """

    LINE_EVERY_S = 10.0

    def __init__(self, total: int, unit: str, label: str, quiet: bool = False, initial: int = 0) -> None:
        self.total, self.unit, self.label, self.done = total, unit, label, initial
        self._quiet = quiet
        self._note = ""
        self._start = self._last = time.monotonic()
        self._initial = initial
        terminal = not quiet and sys.stderr.isatty()
        self._bar = _bar(total, unit, label, initial) if terminal else None

    def advance(self, count: int = 1, note: str = "") -> None:
        """Add ``count``; ``note`` (the latest loss, say) is shown beside."""
        self.done += count
        self._note = note or self._note
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
        elif not self._quiet and time.monotonic() - self._last >= self.LINE_EVERY_S:
            self._line()

    def _line(self) -> None:
        self._last = time.monotonic()
        rate = (self.done - self._initial) / max(self._last - self._start, 1e-9)
        left = f", {(self.total - self.done) / rate:.0f} s left" if rate > 0 and self.done < self.total else ""
        note = f", {self._note}" if self._note else ""
        print(
            f"{self.label}: {self.done}/{self.total} {self.unit}, {rate:.1f}/s{left}{note}", file=sys.stderr, flush=True
        )

    def say(self, text: str) -> None:
        """A line that does not tear the bar."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif not self._quiet and kind is None:
            self._line()


def _bar(total: int, unit: str, label: str, initial: int) -> Any:
    from tqdm import tqdm  # as slow to import as numpy, and wanted on a terminal only

    return tqdm(total=total, unit=f" {unit}", desc=label, initial=initial)
