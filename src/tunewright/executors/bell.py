"""One bell for a process: whoever has news rings it, whoever waits for news hears it."""

from __future__ import annotations

import threading


class Bell:
    """Wakes one waiting thread. Rings before a wait are not lost, and many rings are one."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """There is news. Safe from any thread."""
        self._rung.set()

    def wait(self, timeout: float) -> bool:
        """Return at the next ring (or at once if it rang since the last wait), or after `timeout` seconds.

        Whoever waits looks at the news afterwards, so that a ring that comes between the two is of no matter.

        Returns:
            Whether the bell rang.
        """
        rung = self._rung.wait(max(0.0, timeout))
        self._rung.clear()
        return rung
