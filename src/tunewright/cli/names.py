"""Names: which known one a wrong one was meant to be, and a name for a tuning job that has none."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterable

MAX_NAME = 32


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known name that a wrong one comes closest to, or None when none is close."""
    by_key = {_key(name): name for name in known}
    found = difflib.get_close_matches(_key(wrong), list(by_key), n=1, cutoff=0.6)
    if not found and len(wrong) >= 3:
        found = [key for key in by_key if key.startswith(_key(wrong))]
    return by_key[found[0]] if found else None


def _key(name: str) -> str:
    return name.lower().replace("-", "_").strip()


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """` Did you mean 'max_jobs'?`, or nothing."""
    found = nearest(wrong, known)
    return f" Did you mean {found!r}?" if found else ""


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
