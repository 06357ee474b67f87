"""Directories for function calls, made ahead: while a worker waits, it makes the next job's directory.

Making a job's dozen directories and files takes longer than many a function; moving them into place does not.
So most of a spare is what the last call did not use: empty directories and logs, and the configuration of a call
that ended well. A spare lies below `<home>/spare` and its worker holds its lock, so that what is left after a
crash can be told.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from dataclasses import dataclass, replace
from functools import partial

from tunewright.core.ports import ExitReport, Task
from tunewright.core.spec import Training
from tunewright.executors import processes, tasklock
from tunewright.executors.claims import own
from tunewright.executors.codec import exit_to_json
from tunewright.executors.contract.files import write_config
from tunewright.executors.contract.packing import is_empty
from tunewright.executors.patience import patiently
from tunewright.executors.workdir import APPENDING, Workdir, write_all

END = "exit.json.tmp"
_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)


class Taken(Exception):
    """Somebody has begun, ended or forbidden this attempt already."""


@dataclass(frozen=True, slots=True)
class Place:
    """An attempt's directory, taken: its lock is held, and the files that a call writes are open.

    Args:
        training: what its configuration files were written for.
        values: hyperparameters.json. It is written over in place: for a file cut to nothing and written again,
            some file systems wait for the disk.
        end: what becomes exit.json.
    """

    workdir: Workdir
    training: Training
    lock: int
    logs: tuple[int, int]
    values: int
    end: int

    def configure(self, task: Task) -> None:
        """Make the configuration files those of this task, if they were written for one much like it."""
        if self.training != task.training or task.checkpoint_uri is not None:
            write_config(self.workdir, task)
            return
        text = json.dumps(dict(task.hyperparameters)).encode()
        os.pwrite(self.values, text, 0)
        os.ftruncate(self.values, len(text))

    def conclude(self, report: ExitReport) -> None:
        """Put the end on record, whole or not at all. Raises OSError."""
        write_all(self.end, json.dumps(exit_to_json(report)).encode())
        os.rename(self.workdir.at(END), self.workdir.exit)

    def close(self) -> None:
        """Give the lock back. Everything that shall be found must be written by now."""
        for handle in (*self.logs, self.values, self.end, self.lock):
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

    def prepare(self, like: Task, used: Place | None = None) -> None:
        """Make the next directory, unless there is one, for a task that is much like this one.

        Args:
            used: the place of a call that is over and ended well; it is closed.
        """
        if self._next is not None:
            if used is not None:
                used.close()
            return
        self._made += 1
        base = f"{self._home}/spare/{os.getpid()}-{self._made}"
        os.makedirs(base)
        workdir = Workdir(base, base)
        if used is not None and _move(used.workdir.lock, workdir.lock):
            self._next = _remade(workdir, used, like)
            return
        if used is not None:
            used.close()
        lock = tasklock.take(workdir)
        assert lock is not None, "nobody else knows this directory"
        self._next = self._fill(workdir, like, lock)

    def claim(self, task: Task) -> Place:
        """The task's own directory with its configuration written and its lock held.

        Raises:
            Taken: it exists already.
            OSError: the system refuses it, and did for half a minute.
        """
        workdir = Workdir.of(self._home, task.name, task.attempt)
        spare = patiently(partial(self._take_spare, task, workdir)) if task.attempt == 1 else None
        if spare is None:
            return self._claim_in_place(workdir, task)
        place = replace(spare, workdir=workdir)
        patiently(partial(own, workdir, task))
        patiently(partial(place.configure, task))
        return place

    def _take_spare(self, task: Task, workdir: Workdir) -> Place | None:
        """The spare, once it is the task's directory; None when that exists already."""
        self.prepare(task)
        spare = self._next
        assert spare is not None, "prepare has made one"
        if not _moved(spare.workdir.base, workdir.base):
            return None
        self._next = None
        return spare

    def close(self) -> None:
        """Remove the spare."""
        spare, self._next = self._next, None
        if spare is not None:
            spare.close()
            shutil.rmtree(spare.workdir.base, ignore_errors=True)

    def _claim_in_place(self, workdir: Workdir, task: Task) -> Place:
        """Take a directory that exists, or that has to be made where it is."""
        lock = patiently(partial(tasklock.take, workdir, tasklock.PATIENCE))
        if lock is None:
            raise Taken
        over = os.path.exists(workdir.exit) or os.path.exists(workdir.tombstone)
        if over or tasklock.read_state(workdir).shim is not None:
            os.close(lock)
            raise Taken
        return patiently(partial(self._fill, workdir, task, lock))

    def _fill(self, workdir: Workdir, task: Task, lock: int) -> Place:
        tasklock.note(lock, self._me)
        workdir.make()
        write_config(workdir, task)
        logs = workdir.append("stdout"), workdir.append("stderr")
        return _place(workdir, task.training, lock, logs, _values(workdir))


def _place(workdir: Workdir, training: Training, lock: int, logs: tuple[int, int], values: int) -> Place:
    os.close(workdir.append("metrics"))
    return Place(workdir, training, lock, logs, values, os.open(workdir.at(END), APPENDING, 0o644))


def _remade(workdir: Workdir, used: Place, like: Task) -> Place:
    """A spare out of what a call did not use; its lock was moved already."""
    old = used.workdir
    _move_empty(old.model, workdir.model)
    _move_empty(old.code, workdir.code)
    if is_empty(old.output_data) and os.listdir(old.output) == ["data"]:
        _move(old.output, workdir.output)
    training, values = used.training, used.values
    kept = is_empty(old.data) and _move(old.at("input"), workdir.at("input"))
    workdir.make()
    if not kept:
        os.close(values)
        write_config(workdir, like)
        training, values = like.training, _values(workdir)
    stdout, stderr = (_log(name, log, old, workdir) for name, log in zip(("stdout", "stderr"), used.logs, strict=True))
    os.close(used.end)
    return _place(workdir, training, used.lock, (stdout, stderr), values)


def _log(name: str, log: int, old: Workdir, new: Workdir) -> int:
    """A log for the next call: the last one's if nothing was written to it."""
    if os.fstat(log).st_size == 0 and _move(old.stream(name), new.stream(name)):
        return log
    os.close(log)
    return new.append(name)


def _values(workdir: Workdir) -> int:
    return os.open(f"{workdir.config}/hyperparameters.json", os.O_WRONLY | os.O_CLOEXEC)


def _move_empty(old: str, new: str) -> None:
    if is_empty(old):
        _move(old, new)


def _move(old: str, new: str) -> bool:
    """Whether it could be moved."""
    try:
        os.rename(old, new)
    except OSError:
        return False
    return True


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
        return _move(spare, target)
    except OSError as error:
        if error.errno in _OCCUPIED:
            return False
        raise
    return True
