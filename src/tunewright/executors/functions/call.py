"""One call that the function executor looks after, and what it becomes on the way."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass

from tunewright.core.ports import ExitReport, Task
from tunewright.executors.functions.worker_process import WorkerProcess
from tunewright.executors.slots import Held
from tunewright.executors.workdir import Workdir


@dataclass(slots=True)
class Call:
    """A task that this executor looks after.

    Args:
        worker: who works on it, if it is one of ours.
        held: its slots, until it is over; its worker has them too.
        tries: how often it was handed to a worker that had ended before it began.
        started: when it was handed to the worker, seconds since the epoch.
        kill_at: when SIGKILL follows, monotonic.
        killed: it is to end.
        foreign: another controller's worker may still have it.
        uploading: it entered that phase.
        report: how it ended; None until it did.
    """

    task: Task
    workdir: Workdir
    worker: WorkerProcess[Call] | None = None
    held: Held | None = None
    tries: int = 0
    started: float | None = None
    kill_at: float | None = None
    killed: bool = False
    foreign: bool = False
    uploading: bool = False
    report: ExitReport | None = None

    @property
    def over(self) -> bool:
        return self.report is not None


def release(held: Held) -> None:
    """Free slots, also when processes that a function left behind have copies of their descriptors."""
    for fd in held.fds:
        fcntl.flock(fd, fcntl.LOCK_UN)
    held.close()


def handle(task: Task) -> str:
    """What a launched task is known by."""
    return f"function:{task.name}/{task.attempt}"
