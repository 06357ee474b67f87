"""Names of jobs: made when none is given, checked when one is."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

from tunewright.control.clock import SteadyClock
from tunewright.core.errors import Problem

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


def fresh_name(base: str, longest: int) -> str:
    """`<base>-<date>-<time>-<4 hex>`, at most `longest` characters; two made in the same minute differ."""
    tail = f"-{datetime.fromtimestamp(SteadyClock().now(), UTC):%y%m%d-%H%M}-{secrets.token_hex(2)}"
    clean = re.sub(r"[^a-zA-Z0-9]+", "-", base).strip("-") or "job"
    return clean[: longest - len(tail)].rstrip("-") + tail


def check_name(name: str, longest: int) -> list[Problem]:
    """What is wrong with a `job_name`, which may have `longest` characters."""
    if not _NAME.fullmatch(name):
        return [Problem("job_name", f"{name!r} must be letters and digits, with hyphens only between them.")]
    if len(name) > longest:
        return [Problem("job_name", f"{name!r} has {len(name)} characters, at most {longest} are allowed.")]
    return []
