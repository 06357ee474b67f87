"""Signals while a job is followed: Ctrl-C is counted; what ends the process is not obeyed without a word."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Counts Ctrl-C instead of being torn out of whatever is going on.

    Attributes:
        parting: what is said on standard error when the process is told to end (SIGTERM, SIGHUP); nothing while empty.
    """

    def __init__(self) -> None:
        self.count = 0
        self.parting = ""

    @contextlib.contextmanager
    def heard(self) -> Iterator[Interrupts]:
        """Listen to signals while the block runs; outside the main thread nothing can be heard."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_ENDING)}
        signal.signal(signal.SIGINT, self._count)
        for number in _ENDING:
            if before[number] is signal.SIG_DFL:  # `nohup` has SIGHUP ignored
                signal.signal(number, self._part)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _count(self, number: int, frame: object) -> None:
        self.count += 1

    def _part(self, number: int, frame: object) -> None:
        """Say what becomes of the job, then end as one does who does not listen."""
        if self.parting:
            text = f"\nEnded by {signal.Signals(number).name}; {self.parting}\n"
            with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
                os.write(sys.stderr.fileno(), text.encode("utf-8", "replace"))
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
