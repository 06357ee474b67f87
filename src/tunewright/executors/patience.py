"""What the system refuses for a moment is tried again: on a full disk, in a directory that is closed or away."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from tunewright.core.errors import FULL_DISK
from tunewright.executors.clock import pause

T = TypeVar("T")

RETRY_SECONDS = 1.0
REFUSED_SECONDS = 30.0


def patiently(action: Callable[[], T], *, full: float = math.inf, refused: float = REFUSED_SECONDS) -> T:
    """Do it, and again every second while the system refuses it.

    Args:
        full: how many seconds a full disk is waited for; there is room some day.
        refused: how many seconds anything else is.

    Raises:
        OSError: the last refusal. What is not there at all does not come back: that is raised at once.
    """
    began = time.monotonic()
    while True:
        try:
            return action()
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as error:
            if time.monotonic() - began >= (full if error.errno in FULL_DISK else refused):
                raise
        pause(RETRY_SECONDS)
