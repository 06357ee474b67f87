"""A task of the executor for scripts, and its end when no shim holds it any more."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from tunewright.core.ports import ExitReport, Task
from tunewright.core.trial import Failure, Phase
from tunewright.executors import processes, tasklock
from tunewright.executors.clock import now
from tunewright.executors.contract.cluster import Cluster
from tunewright.executors.programs import containers
from tunewright.executors.programs.program import ORDER
from tunewright.executors.reasons import DISPLACED
from tunewright.executors.runtime import Runtime
from tunewright.executors.workdir import Workdir

LOST = "worker lost: the process that looked after the training job ended without a word (killed, or a restart)."


@dataclass(slots=True)
class Entry:
    """A task that the executor looks after.

    Args:
        until: by when its shim must hold the lock.
        launched: some controller asked for a shim, so that there may be processes also when nothing is on record.
        shim: process id and identity of the shim that was asked for; None when another controller asked for it.
        own: its shim reports on this executor's pipe and is reaped by its fork server.
        report: how it ended; None until it did.
        phases: how many phases were reported.
        lost: the reason to give should the job be lost.
    """

    task: Task
    workdir: Workdir
    until: float
    launched: bool = False
    shim: tuple[int, str] | None = None
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
    failure, lost = Failure.INTERNAL, entry.lost
    if state.shim is not None or entry.launched:
        hosts = Cluster.of(entry.task.training).hosts
        markers = [f"TUNEWRIGHT_METRICS_FILE={entry.workdir.stream(f'{host}/metrics')}" for host in hosts]
        logs = [entry.workdir.stream(f"{host}/{name}") for host in hosts for name in ("stdout", "stderr")]
        found = processes.end_remains(state.programs, markers, logs)
        if found and state.shim is None:
            failure, lost = Failure.ALGORITHM, f"{DISPLACED.format(entry.workdir.base)} What was left of it was ended."
        containers.end_remains(runtime.image(entry.task.training.image), home, entry.task)
    started = next((at for phase, at in state.phases if phase is Phase.TRAINING), None)
    if told:
        return ExitReport(name, attempt, None, killed=True, started=started, ended=now())
    return ExitReport(name, attempt, None, failure, lost, started=started, ended=now())


def shim_of(entry: Entry) -> tuple[int, str] | None:
    """Process id and identity of an attempt's shim: what it wrote down, or what is known of it here."""
    return tasklock.read_state(entry.workdir).shim or entry.shim


def looked_after(entry: Entry) -> bool:
    """Whether a shim is at an attempt that has not ended: it holds the lock, or held it until that was removed."""
    if tasklock.is_held(entry.workdir):
        return True
    begun = entry.shim is not None and entry.phases > 0 and not os.path.exists(entry.workdir.lock)
    return begun and entry.shim is not None and processes.same_process(*entry.shim)


def order(entry: Entry) -> None:
    """Tell the shim to look at the tombstone. One that has not said who it is will look by itself."""
    shim = shim_of(entry)
    if shim is None:
        return
    handle = processes.open_process(shim[0])
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if handle is not None and looked_after(entry):
            processes.signal_process(handle, ORDER)
        elif handle is None and processes.same_process(*shim):
            os.kill(shim[0], ORDER)
    if handle is not None:
        os.close(handle)
