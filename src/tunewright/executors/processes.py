"""Telling processes apart and ending what is left of them, by process id and start time, never by name."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence, Set

from tunewright.executors.clock import pause

if sys.platform != "linux":
    import subprocess

LINUX = sys.platform == "linux"
PATIENCE_SECONDS = 5.0
"""After so long processes that even SIGKILL does not end are given up on."""
_PR_SET_CHILD_SUBREAPER = 36


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


BOOT = _boot_id()


def _fields(pid: int | str) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the state on; None when there is no such process."""
    try:
        handle = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(handle, 4096).decode("utf-8", "replace")
        finally:
            os.close(handle)
    except OSError:
        return None
    return text.rpartition(")")[2].split() or None


if sys.platform == "linux":

    def identity(pid: int) -> str:
        """A text that no other process with this id shares, on this boot or another; "" when there is none.

        A process that has ended but was not yet waited for still has its identity.
        """
        found = _fields(pid)
        return f"{BOOT}/{found[19]}" if found else ""

    def is_zombie(pid: int) -> bool:
        """Whether a process has ended and was not yet waited for."""
        found = _fields(pid)
        return found is not None and found[0] in "ZX"

    def open_process(pid: int) -> int | None:
        """A descriptor that becomes readable when a process ends; None when there is no such process or thing."""
        try:
            return os.pidfd_open(pid)
        except OSError:
            return None

    def signal_process(handle: int, number: int) -> None:
        """Signal the very process that a descriptor was opened for. Raises ProcessLookupError when it is gone."""
        signal.pidfd_send_signal(handle, number)

else:

    def identity(pid: int) -> str:
        return _ps("lstart=", pid)

    def is_zombie(pid: int) -> bool:
        return _ps("stat=", pid).startswith("Z")

    def open_process(pid: int) -> int | None:
        return None

    def signal_process(handle: int, number: int) -> None:
        raise ProcessLookupError(handle)

    def _ps(column: str, pid: int) -> str:
        listing = subprocess.run(["ps", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False)
        return "-".join(listing.stdout.split())


def same_process(pid: int, known: str) -> bool:
    """Whether the process with this id is still the one that had this identity."""
    return bool(known) and identity(pid) == known


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent ends, where the kernel can do that."""
    if callable(_PRCTL):
        _PRCTL(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


_PRCTL = getattr(ctypes.CDLL(None), "prctl", None) if LINUX else None


def _all_pids() -> Iterator[int]:
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdecimal():
                yield int(name)


def children_of(parent: int) -> list[int]:
    """Living children of a process; empty where there is no /proc."""
    found = []
    for pid in _all_pids():
        stat = _fields(pid)
        if stat and stat[0] not in "ZX" and int(stat[1]) == parent:
            found.append(pid)
    return found


def marked(markers: Sequence[str]) -> list[int]:
    """Living processes of this user whose environment holds a marker (NAME=value); empty without /proc."""
    wanted = [b"\0" + marker.encode() + b"\0" for marker in markers]
    found = []
    for pid in _all_pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                content = file.read()
        except OSError:
            continue
        if any(each in b"\0" + content for each in wanted) and pid != os.getpid() and _is_there(pid):
            found.append(pid)
    return found


def printing(logs: Sequence[str]) -> list[int]:
    """Other living processes whose standard output or error goes to one of these files; empty without /proc."""
    names = {os.path.basename(path) for path in logs}
    found = []
    for pid in set(_all_pids() if logs else ()) - {os.getpid()}:
        for stream in (f"/proc/{pid}/fd/1", f"/proc/{pid}/fd/2"):
            # By its name first, for a look at the file itself may wait for a file system that does not answer.
            with contextlib.suppress(OSError):
                if os.path.basename(os.readlink(stream)) in names and _same_file(stream, logs):
                    found.append(pid)
                    break
    return found


def _same_file(path: str, others: Sequence[str]) -> bool:
    about = os.stat(path)
    for other in others:
        with contextlib.suppress(OSError):
            if os.path.samestat(about, os.stat(other)):
                return True
    return False


def kill(pid: int) -> None:
    """End a process at once; one with another user's rights, as sudo lets it run, ends when it likes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def kill_group(group: int, number: int) -> bool:
    """Signal a process group; whether it had members."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _members(groups: Set[int]) -> bool:
    """Whether a process of these groups lives: one that is ending has lost its environment before it is gone."""
    found = (_fields(pid) for pid in _all_pids())
    return any(stat and stat[0] not in "ZX" and int(stat[2]) in groups for stat in found)


def end_remains(leaders: Sequence[tuple[int, str]], markers: Sequence[str], logs: Sequence[str] = ()) -> bool:
    """Kill what orphaned training programs left behind, and wait until it is gone; whether there was anything.

    Args:
        leaders: the leaders of their process groups: process id, which is the group's too, and identity.
        markers: environment variables that only this attempt's processes carry.
        logs: files that only this attempt's processes write to.
    """
    until, found = time.monotonic() + PATIENCE_SECONDS, set[int]()
    while time.monotonic() < until:
        alive = [*marked(markers), *printing(logs)]
        for group, known in leaders:
            if same_process(group, known) and not is_zombie(group):
                kill_group(group, signal.SIGKILL)
                alive.append(group)
        found.update(alive)
        for pid in alive:
            kill(pid)
        # One that is about to end has lost its environment before it has given back all that it held.
        if not alive and not any(map(_is_there, found)) and not _members({group for group, _ in leaders}):
            break
        pause(0.005)
    return bool(found)


def _is_there(pid: int) -> bool:
    stat = _fields(pid)
    return stat is not None and stat[0] not in "ZX"
