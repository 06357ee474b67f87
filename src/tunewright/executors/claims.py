"""Whose a training job's directory is: names come again, what an earlier job left must not be taken for this one's."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tunewright.core.ports import Task
from tunewright.executors import tasklock
from tunewright.executors.workdir import Workdir, make_directory, write_plain

_OWNER = "owner"


def claim(home: Path | str, task: Task, *, make: bool = True) -> Workdir:
    """The directory of a task's attempt, from now on its job's own; another job's is set aside first.

    A directory without an owner's name is taken as it is.

    Args:
        make: make the directory when it is not there; else whoever makes it has to `own` it.

    Raises:
        Invalid: the task's name is not a training job's name.
        OSError: something of the other job still runs there, or the directory cannot be made.
    """
    workdir = Workdir.of(home, task.name, task.attempt)
    if task.uid:
        path = os.path.join(workdir.shared, _OWNER)
        owner = _read(path)
        if owner not in (None, task.uid):
            _set_aside(home, task.name, workdir.shared, str(owner))
        if owner != task.uid and (make or os.path.exists(workdir.shared)):
            make_directory(workdir.shared)
            own(workdir, task)
    return workdir


def keep(workdir: Workdir, task: Task) -> bool:
    """Write down whose a directory is, if it was made anew; whether it is the task's job's."""
    owner = _read(os.path.join(workdir.shared, _OWNER))
    if owner is None:
        own(workdir, task)
    return owner in (None, task.uid)


def own(workdir: Workdir, task: Task) -> None:
    """Write down whose a directory is."""
    if task.uid:
        write_plain(os.path.join(workdir.shared, _OWNER), task.uid)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read() or None
    except FileNotFoundError:
        return None


def _set_aside(home: Path | str, name: str, shared: str, owner: str) -> None:
    """Give a directory a name that no training job has: its own, and that of the job that it was made for."""
    attempts = 1
    while os.path.isdir((earlier := Workdir.of(home, name, attempts)).base):
        # Whoever put an end on record is about to leave.
        if tasklock.is_held(earlier) and not os.path.exists(earlier.exit):
            text = f"an earlier training job of this name still runs in {shared}; wait until it has ended, or end it"
            raise OSError(errno.EBUSY, text)
        attempts += 1
    place, number = f"{shared}~{owner[:8]}", 1
    while os.path.exists(place):
        number += 1
        place = f"{shared}~{owner[:8]}~{number}"
    os.rename(shared, place)
