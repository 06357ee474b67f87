"""One bell for a process: whoever has news rings it, whoever waits for news hears it."""

from __future__ import annotations

import threading


class Bell:
    """Wakes one waiting thread. Rings before a wait are not lost, and many rings are one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rung = False

    def ring(self) -> None:
        """There is news. Safe from any thread."""
        with self._condition:
            self._rung = True
            self._condition.notify_all()

    def wait(self, timeout: float) -> bool:
        """Return at the next ring (or at once if it rang since the last wait), or after `timeout` seconds.

        Returns:
            Whether the bell rang.
        """
        with self._condition:
            if not self._rung:
                self._condition.wait(max(0.0, timeout))
            rung, self._rung = self._rung, False
            return rung
