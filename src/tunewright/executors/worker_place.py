"""Directories for function calls, made ahead: while a worker waits, it makes the next job's directory.

Making a job's dozen directories and files takes longer than many a function; moving them into place does not.
A spare lies below `<home>/spare` and its worker holds its lock, so that what is left after a crash can be told.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass, replace

from tunewright.core.ports import Task
from tunewright.core.spec import Training
from tunewright.executors import processes, tasklock
from tunewright.executors.contract import write_config
from tunewright.executors.packing import is_empty
from tunewright.executors.workdir import STREAMS, Workdir, write_plain

LOCK_PATIENCE = 0.2


class Taken(Exception):
    """Somebody has begun, ended or forbidden this attempt already."""


@dataclass(frozen=True, slots=True)
class Place:
    """An attempt's directory, taken: its lock is held, and its logs are open for appending.

    Args:
        training: what its configuration files were written for.
    """

    workdir: Workdir
    training: Training
    lock: int
    logs: tuple[int, int]

    def close(self) -> None:
        """Give the lock back. Everything that shall be found must be written by now."""
        for handle in (*self.logs, self.lock):
            os.close(handle)


class Spares:
    """The directory of one worker's next call.

    Args:
        home: Tunewright's home directory.
    """

    def __init__(self, home: str) -> None:
        self._home = home
        self._me = f"shim {os.getpid()} {processes.identity(os.getpid())}"
        self._made = 0
        self._next: Place | None = None

    def prepare(self, like: Task, used: Workdir | None = None) -> None:
        """Make the next directory, unless there is one, for a task that is much like this one.

        Args:
            used: the directory of a call that is over; its empty directories are moved rather than made anew.
        """
        if self._next is not None:
            return
        self._made += 1
        base = f"{self._home}/spare/{os.getpid()}-{self._made}"
        workdir = Workdir(base, base)
        os.makedirs(base)
        if used is not None:
            _recycle(used, workdir)
        lock = tasklock.take(workdir)
        assert lock is not None, "nobody else knows this directory"
        self._next = self._fill(workdir, like, lock)

    def claim(self, task: Task) -> Place:
        """The task's own directory with its configuration written and its lock held.

        Raises:
            Taken: it exists already.
        """
        workdir = Workdir.of(self._home, task.name, task.attempt)
        if task.attempt > 1:
            return self._claim_in_place(workdir, task)
        self.prepare(task)
        spare = self._next
        assert spare is not None, "prepare has made one"
        if not _moved(spare.workdir.base, workdir.base):
            return self._claim_in_place(workdir, task)
        self._next = None
        if spare.training == task.training and task.checkpoint_uri is None:
            write_plain(f"{workdir.config}/hyperparameters.json", json.dumps(dict(task.hyperparameters)))
        else:
            write_config(workdir, task)
        return replace(spare, workdir=workdir)

    def close(self) -> None:
        """Remove the spare."""
        spare, self._next = self._next, None
        if spare is not None:
            spare.close()
            shutil.rmtree(spare.workdir.base, ignore_errors=True)

    def _claim_in_place(self, workdir: Workdir, task: Task) -> Place:
        """Take a directory that exists, or that has to be made where it is."""
        lock = tasklock.take(workdir, LOCK_PATIENCE)
        if lock is None:
            raise Taken
        over = os.path.exists(workdir.exit) or os.path.exists(workdir.tombstone)
        if over or tasklock.read_state(workdir).shim is not None:
            os.close(lock)
            raise Taken
        return self._fill(workdir, task, lock)

    def _fill(self, workdir: Workdir, task: Task, lock: int) -> Place:
        tasklock.note(lock, self._me)
        workdir.make()
        write_config(workdir, task)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        stdout, stderr, metrics = (os.open(workdir.stream(name), flags, 0o644) for name in STREAMS)
        os.close(metrics)
        # `workdir.write_whole` writes here before it renames: a file that exists is written faster than a new one.
        write_plain(f"{workdir.exit}.{os.getpid()}.tmp", "")
        return Place(workdir, task.training, lock, (stdout, stderr))


def sweep(home: str) -> None:
    """Remove the spares of workers that are gone."""
    folder = f"{home}/spare"
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            pid = name.partition("-")[0]
            alive = not pid.isdecimal() or processes.identity(int(pid))
            # Between making a spare and locking it a worker is alive and holds nothing.
            if not alive and not tasklock.is_held(Workdir(f"{folder}/{name}", "")):
                shutil.rmtree(f"{folder}/{name}", ignore_errors=True)


def _moved(spare: str, target: str) -> bool:
    """Whether the spare is now the attempt's directory; not when that exists already."""
    try:
        os.rename(spare, target)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.rename(spare, target)
        except OSError:
            return False
    except OSError:
        return False
    return True


def _recycle(used: Workdir, spare: Workdir) -> None:
    """Move the directories that a call left empty: where they are they would only take room."""
    os.mkdir(spare.at("input"))
    pairs = [(used.data, spare.data), (used.model, spare.model), (used.code, spare.code)]
    if used.shared == used.base and not os.path.islink(used.checkpoints):
        pairs.append((used.checkpoints, spare.checkpoints))
    for old, new in pairs:
        with contextlib.suppress(OSError):
            if is_empty(old):
                os.rename(old, new)
    with contextlib.suppress(OSError):
        if os.listdir(used.output) == ["data"] and is_empty(used.output_data):
            os.rename(used.output, spare.output)
