"""How a call ends whose worker is gone: in words, with its artifacts kept, and on record."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass

from tunewright.core.ports import ExitReport, Objects, Task
from tunewright.core.trial import Failure
from tunewright.executors import processes, tasklock
from tunewright.executors.clock import now
from tunewright.executors.contract import artifacts
from tunewright.executors.contract.packing import is_empty
from tunewright.executors.functions.worker_place import END
from tunewright.executors.reasons import LIMIT, Refused, signal_name, tail
from tunewright.executors.workdir import UNREADABLE, Workdir, read_exit, read_settled, write_exit

INTERRUPTED = "the worker process ended with its controller while the function ran; the training job begins again."
NOT_STARTED = "the worker process could not be started"


@dataclass(frozen=True, slots=True)
class Lost:
    """A call whose worker ended before it had answered.

    Args:
        code: the worker's exit code, negative for a signal.
        started: when the call was handed over; None when it never was.
        killed: the call was to end.
        marker: what the environment of everything that the worker started holds.
        words: what the worker said outside any call.
    """

    task: Task
    code: int
    started: float | None
    killed: bool
    marker: str
    words: str = ""


def conclude(lost: Lost, workdir: Workdir, objects: Objects) -> ExitReport:
    """The report for a lost call; it is on record afterwards. May take as long as storing its model does."""
    processes.end_remains((), [lost.marker])
    report = read_settled(workdir, lost.task)
    if report is not None:
        return report
    report = _report(lost, workdir, objects)
    record(workdir, report)
    with contextlib.suppress(OSError):
        os.unlink(workdir.at(END))
    return report


def _report(lost: Lost, workdir: Workdir, objects: Objects) -> ExitReport:
    name, attempt, at = lost.task.name, lost.task.attempt, now()
    if lost.started is None:
        if lost.killed:
            return ExitReport(name, attempt, None, killed=True, ended=at)
        reason = f"{NOT_STARTED} ({_how(lost.code)}). {lost.words}"[:LIMIT].rstrip()
        return ExitReport(name, attempt, None, Failure.INTERNAL, reason, ended=at)
    model, failure, reason = "", Failure.ALGORITHM, f"the function's process ended: {_how(lost.code)}."
    said = tail(workdir)
    if said:
        reason = f'{reason}\nErrorMessage "{said}"'
    try:
        if not (is_empty(workdir.model) and is_empty(workdir.output_data)):
            model = artifacts.store(lost.task, workdir, objects, failed=True)
    except Refused as refused:
        reason = f"{reason}\n{refused.reason}"
    if lost.killed:
        return ExitReport(name, attempt, lost.code, None, "", model, True, lost.started, at)
    return ExitReport(name, attempt, lost.code, failure, reason[:LIMIT], model, False, lost.started, at)


def _how(code: int) -> str:
    if code >= 0:
        return f"it exited with code {code} without returning (os._exit, or a library that ends the process)"
    hint = " (likely out of memory)" if -code == signal.SIGKILL else ""
    return f"it was ended by {signal_name(-code)}{hint}"


def record(workdir: Workdir, report: ExitReport) -> None:
    """Put an end on record. A disk that is full must not keep the controller from being told."""
    with contextlib.suppress(OSError):
        write_exit(workdir, report)


def end_of(task: Task, workdir: Workdir) -> ExitReport | None:
    """The end of an attempt that another controller's worker began, or None while that worker holds it.

    An attempt that nobody holds and that has no end on record went down with its controller.
    """
    with contextlib.suppress(*UNREADABLE):  # it may be read when nobody is at it any more
        if (report := read_exit(workdir)) is not None:
            return report
    lock = tasklock.take(workdir)
    if lock is None:
        return None
    try:
        report = read_settled(workdir, task)
        if report is None:
            report = _abandoned(task, workdir)
            record(workdir, report)
        return report
    finally:
        os.close(lock)


def _abandoned(task: Task, workdir: Workdir) -> ExitReport:
    begun = tasklock.read_state(workdir).shim is not None
    if begun:
        # The worker's group went with it; programs that left the group still carry the call's variables.
        processes.end_remains((), [f"TUNEWRIGHT_METRICS_FILE={workdir.stream('metrics')}"])
    if tasklock.read_tombstone(workdir) is not None:
        return ExitReport(task.name, task.attempt, None, killed=True, ended=now())
    return ExitReport(task.name, task.attempt, None, Failure.INTERRUPTED, INTERRUPTED, ended=now())


def begun(workdir: Workdir) -> bool:
    """Whether there are traces of an attempt: it was begun, it is over, or it must not begin."""
    if not os.path.exists(workdir.base):
        return False
    marks = (workdir.exit, workdir.tombstone)
    return any(map(os.path.exists, marks)) or tasklock.is_held(workdir) or tasklock.read_state(workdir).shim is not None
