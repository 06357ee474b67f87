"""This room's clock: when something happened, for the record; and a short pause while another process ends.

No decision rests on `now`, which may jump with the machine's clock; spans are measured with `time.monotonic`.
"""

from __future__ import annotations

import time


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def pause(seconds: float) -> None:
    """Wait a moment for what no system tells."""
    time.sleep(seconds)  # the one pause of this room: what no system tells has to be looked at again
