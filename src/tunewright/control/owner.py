"""Who runs a job: identifying this process, and telling whether another one is still alive."""

from __future__ import annotations

import os
import socket
import subprocess
from functools import cache
from pathlib import Path

from tunewright.core.ports import Owner


@cache
def _boot() -> str:
    """An identifier of this boot of the machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def start_time(pid: int) -> float | None:
    """When a process started, in the system's own units; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return _start_time_by_ps(pid) if not Path("/proc/self").exists() else None
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], float(fields[19])
    return None if state in ("Z", "X") else started


def _start_time_by_ps(pid: int) -> float | None:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return float(sum(ord(letter) * (place + 1) for place, letter in enumerate(found))) if found else None


def this_process() -> Owner:
    """This process, as leases name it."""
    pid = os.getpid()
    return Owner(socket.gethostname(), _boot(), pid, start_time(pid) or 0.0)


def is_dead(owner: Owner) -> bool:
    """Whether an owner is surely gone: same host, and rebooted since or no such process any more.

    An owner on another host is never surely gone; its lease has to expire.
    """
    if owner.host != socket.gethostname():
        return False
    return owner.boot != _boot() or start_time(owner.pid) != owner.started
