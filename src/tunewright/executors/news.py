"""What the executors of a machine have alike: news that wait to be polled, logs on the disk, and a bell to wait for."""

from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path

from tunewright.core.ports import Report
from tunewright.core.trial import Cursor
from tunewright.executors.bell import Bell
from tunewright.executors.slots import WANT_SECONDS
from tunewright.executors.workdir import Workdir

STARVED_SECONDS = 0.25
"""How long `wait` lasts at most while a launch waits for slots that other controllers may free."""


class Waiting:
    """Waits for a bell; for less long while slots are waited for.

    Args:
        bell: rung when there is something to poll.
    """

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._starved_until = 0.0

    def wake(self) -> None:
        """Make a `wait` in another thread return."""
        self._bell.ring()

    def wait(self, timeout: float) -> None:
        """Return when `poll` may have something, when woken, or after `timeout` seconds.

        While a launch found no free slot it returns sooner: nobody tells when another controller frees one.
        """
        starved = time.monotonic() < self._starved_until
        self._bell.wait(min(timeout, STARVED_SECONDS) if starved else timeout)

    def _starve(self) -> None:
        """A launch found no free slot."""
        self._starved_until = time.monotonic() + WANT_SECONDS


class News(Waiting):
    """The part of `core.ports.Executor` that listens.

    Args:
        home: Tunewright's home; training jobs live below `jobs`.
        bell: rung when there is something to poll.
    """

    def __init__(self, home: Path, bell: Bell) -> None:
        super().__init__(bell)
        self._home = Path(home)
        self._guard = threading.RLock()
        self._reports: deque[Report] = deque()

    def poll(self) -> list[Report]:
        """What happened since the last poll, per task in order."""
        with self._guard:
            reports = list(self._reports)
            self._reports.clear()
            return reports

    def sizes(self, name: str, attempt: int) -> Cursor:
        """How many bytes each stream of a task holds now."""
        return Workdir.of(self._home, name, attempt).sizes()

    def read(self, name: str, attempt: int, stream: str, offset: int, limit: int) -> bytes:
        """Bytes of a stream from an offset, at most `limit`."""
        return Workdir.of(self._home, name, attempt).read(stream, offset, limit)

    def _tell(self, *reports: Report) -> None:
        """Have something polled, in this order."""
        with self._guard:
            self._reports.extend(reports)
        self._bell.ring()
