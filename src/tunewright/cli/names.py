"""Names and numbers in words, and a name for a tuning job that has none."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

MAX_NAME = 32


def job_name(stem: str, now: float) -> str:
    """A tuning job's name of at most 32 characters: what it is made from, and the time (UTC) to the second."""
    tail = time.strftime("-%y%m%d-%H%M%S", time.gmtime(now))
    return clean(stem)[: MAX_NAME - len(tail)].rstrip("-") + tail


def clean(stem: str) -> str:
    """A text as a tuning job's name."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", stem).strip("-")[:MAX_NAME].rstrip("-") or "tuning"


def counted(number: int, what: str) -> str:
    """`1 training job`, `2 training jobs`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(names: Iterable[str], limit: int = 12) -> str:
    """`a, b and 3 more` for a message."""
    found = list(names)
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(found[:limit]) + more if found else "none"
