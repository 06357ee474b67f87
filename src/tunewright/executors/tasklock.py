"""Who runs an attempt of a training job: the lock file, what its holder wrote into it, and the tombstone.

The lock is an `flock` on `<directory>/lock`, held by the shim as long as it lives. Inside stand lines: `shim <pid>
<identity>`, `program <pid> <identity>`, `phase <name> <seconds since the epoch>`. So whoever finds the directory
knows whether the attempt runs, by whom, and what to end if its shim was killed.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from functools import partial

from tunewright.core.trial import Phase
from tunewright.executors.clock import pause
from tunewright.executors.patience import patiently
from tunewright.executors.workdir import Workdir, make_directory, write_whole

PATIENCE = 0.2
"""Seconds in which somebody who merely looks has let go of a lock again."""
TRIES = 5
"""How often a tombstone is written to a directory that another one takes the place of."""
_PAUSE = 0.002


@dataclass(frozen=True, slots=True)
class State:
    """What a lock file tells.

    Args:
        shim: process id and identity, or None when it never got so far.
        programs: the same of its programs, one for each host.
        phases: the phases entered, in order, with their times.
    """

    shim: tuple[int, str] | None = None
    programs: tuple[tuple[int, str], ...] = ()
    phases: tuple[tuple[Phase, float], ...] = ()


def take(workdir: Workdir, patience: float = 0.0) -> int | None:
    """The lock, as an open descriptor; None when another process holds it.

    Args:
        patience: seconds to try again while the holder has not written who it is: it may be somebody who
            merely looks.
    """
    make_directory(workdir.base)
    handle = os.open(workdir.lock, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until or os.fstat(handle).st_size:
                os.close(handle)
                return None
            pause(_PAUSE)
        else:
            return handle


def note(handle: int, line: str) -> None:
    """Add a line to the lock file that is held, however long that takes: on a full disk there is room some day."""
    left = line.encode() + b"\n"
    while left:
        left = left[patiently(partial(os.write, handle, left), refused=0) :]


def in_place(handle: int, workdir: Workdir) -> bool:
    """Whether the lock that is held lies where it was taken, and is not gone or elsewhere with its directory."""
    try:
        return os.path.samestat(os.stat(workdir.lock), os.fstat(handle))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # a file system that stumbles for a moment has lost nothing
        return True


def is_held(workdir: Workdir) -> bool:
    """Whether some process holds the lock now."""
    try:
        handle = os.open(workdir.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def read_state(workdir: Workdir) -> State:
    """What the lock file tells; nothing when there is none. A line that is not whole is left out."""
    try:
        with open(workdir.lock, encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\n")[:-1]
    except FileNotFoundError:
        return State()
    found: dict[str, list[tuple[int, str]]] = {"shim": [], "program": []}
    phases = []
    for line in lines:
        kind, _, rest = line.partition(" ")
        first, _, second = rest.partition(" ")
        if kind == "phase":
            phases.append((Phase(first), float(second)))
        else:
            found[kind].append((int(first), second))
    return State(found["shim"][-1] if found["shim"] else None, tuple(found["program"]), tuple(phases))


def write_tombstone(workdir: Workdir, grace: float) -> None:
    """Say that the attempt shall end, `grace` seconds after SIGTERM at the latest, or never start."""
    for attempt in range(TRIES):
        make_directory(workdir.base)
        try:
            write_whole(workdir.tombstone, repr(float(grace)))
        except FileNotFoundError:
            # A directory that was made ahead may be put in this one's place between the two.
            if attempt == TRIES - 1:
                raise
        else:
            return


def read_tombstone(workdir: Workdir) -> float | None:
    """The grace in seconds when the attempt shall end, else None."""
    try:
        with open(workdir.tombstone, encoding="ascii") as file:
            return float(file.read())
    except FileNotFoundError:
        return None
