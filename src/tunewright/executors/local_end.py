"""A task of the executor for scripts, and its end when no shim holds it any more."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from tunewright.core.ports import ExitReport, Task
from tunewright.core.trial import Failure, Phase
from tunewright.executors import containers, processes, tasklock
from tunewright.executors.clock import now
from tunewright.executors.cluster import Cluster
from tunewright.executors.program import ORDER
from tunewright.executors.runtime import Runtime
from tunewright.executors.workdir import Workdir

LOST = "worker lost: the process that looked after the training job ended without a word (killed, or a restart)."


@dataclass(slots=True)
class Entry:
    """A task that the executor looks after.

    Args:
        until: by when its shim must hold the lock.
        own: its shim reports on this executor's pipe and is reaped by its fork server.
        report: how it ended; None until it did.
        phases: how many phases were reported.
        lost: the reason to give should the job be lost.
    """

    task: Task
    workdir: Workdir
    until: float
    own: bool = False
    report: ExitReport | None = None
    phases: int = 0
    lost: str = LOST

    @property
    def done(self) -> bool:
        return self.report is not None


def ended_alone(entry: Entry, runtime: Runtime, home: str) -> ExitReport:
    """The report for an attempt that no shim holds: it was lost, or was told to end. What is left of it is ended."""
    state = tasklock.read_state(entry.workdir)
    name, attempt = entry.task.name, entry.task.attempt
    told = tasklock.read_tombstone(entry.workdir) is not None
    if state.shim is not None:
        hosts = Cluster.of(entry.task.training).hosts
        markers = [f"TUNEWRIGHT_METRICS_FILE={entry.workdir.stream(f'{host}/metrics')}" for host in hosts]
        processes.end_remains(state.programs, markers)
        containers.end_remains(runtime.image(entry.task.training.image), home, entry.task)
    started = next((at for phase, at in state.phases if phase is Phase.TRAINING), None)
    if told:
        return ExitReport(name, attempt, None, killed=True, started=started, ended=now())
    return ExitReport(name, attempt, None, Failure.INTERNAL, entry.lost, started=started, ended=now())


def order(workdir: Workdir) -> None:
    """Tell the shim to look at the tombstone. One that has not said who it is will look by itself."""
    state = tasklock.read_state(workdir)
    if state.shim is None:
        return
    handle = processes.open_process(state.shim[0])
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if handle is not None and tasklock.is_held(workdir):
            processes.signal_process(handle, ORDER)
        elif handle is None and processes.same_process(*state.shim):
            os.kill(state.shim[0], ORDER)
    if handle is not None:
        os.close(handle)
