"""The loop's clock: wall time that never runs backwards and never jumps."""

from __future__ import annotations

import time
from collections.abc import Callable


class SteadyClock:
    """Wall time read once, then carried on by the monotonic clock.

    Setting the machine's clock back or forward while a job runs changes neither its deadlines nor the order
    of its events.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._monotonic() + self._offset

    def at_least(self, at: float) -> None:
        """Never answer less than `at` from now on: a store may have seen a later time than this process."""
        self._offset += max(0.0, at - self.now())


def pause(seconds: float) -> None:
    """Wait a little before trying again: the one pause of this room, and of the faces."""
    # The one place that truly waits: whoever retries is given this function, and in tests one that takes no time.
    time.sleep(seconds)
