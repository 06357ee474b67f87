"""A training job's own process: prepares its directory, runs its program, stores what it leaves, and says how it ended.

A shim is forked by the fork server and needs nobody afterwards: it goes on when the fork server and the controller
are gone. Whoever holds the attempt's lock is its shim; a second one finds the lock taken and leaves.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from tunewright.core.errors import Invalid
from tunewright.core.ports import ExitReport, Objects, Task
from tunewright.core.trial import Failure, Phase
from tunewright.executors import artifacts, prepare, processes, reasons, tasklock
from tunewright.executors.code import bring_code
from tunewright.executors.contract import write_config
from tunewright.executors.environment import environment
from tunewright.executors.program import Ended, Program
from tunewright.executors.reasons import Refused
from tunewright.executors.workdir import Workdir, write_exit

LEFT = 3
"""Exit status of a shim that had nothing to do: another one runs the attempt, or it is over."""
LOCK_PATIENCE = 0.2

INTERRUPTED = "The training job was ended together with everything else: the machine or its service manager stopped it."


class _Told(Exception):
    """SIGTERM came while there was no program yet."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a shim is given.

    Args:
        slots: descriptors whose locks are this task's slots; closed at its end.
        devices: GPUs it may use; None where the host has none.
        environment: what the program inherits.
        report: descriptor of the pipe on which the controller listens.
    """

    task: Task
    workdir: Workdir
    slots: Sequence[int]
    devices: Sequence[str] | None
    environment: Mapping[str, str]
    report: int


def run(assignment: Assignment, objects: Objects) -> NoReturn:
    """Be the shim of a task; never returns. SIGCHLD, SIGTERM and SIGALRM must be blocked."""
    status = 1
    try:
        status = _Shim(assignment, objects).run()
    finally:
        os._exit(status)


class _Shim:
    def __init__(self, assignment: Assignment, objects: Objects) -> None:
        self._given = assignment
        self._task = assignment.task
        self._workdir = assignment.workdir
        self._objects = objects
        self._lock = -1
        self._base = assignment.workdir.base
        self._started: float | None = None

    def run(self) -> int:
        """Exit status of this process."""
        os.setsid()
        processes.adopt_orphans()
        lock = tasklock.take(self._workdir, LOCK_PATIENCE)
        if lock is None or os.path.exists(self._workdir.exit) or tasklock.read_state(self._workdir).shim:
            return LEFT
        self._lock = lock
        tasklock.note(lock, f"shim {os.getpid()} {processes.identity(os.getpid())}")
        report = self._outcome()
        if report.failure is not None and report.exit_code is None:
            self._say(report.reason)
        prepare.drop_alias(self._base, self._workdir)
        write_exit(self._workdir, report)
        for handle in self._given.slots:
            os.close(handle)
        self._tell(f"exit {self._task.attempt} {self._task.name}")
        return 0

    def _outcome(self) -> ExitReport:
        try:
            return self._train()
        except _Told:
            if tasklock.read_tombstone(self._workdir) is None:
                return self._report(None, Failure.INTERRUPTED, INTERRUPTED)
            return self._report(None, killed=True)
        except Refused as refused:
            return self._report(None, refused.failure, refused.reason)
        except Invalid as error:
            return self._report(None, Failure.CLIENT, str(error)[: reasons.LIMIT])
        except Exception as error:
            self._say(traceback.format_exc())
            reason = f"The training job could not be looked after: {type(error).__name__}: {error}"
            return self._report(None, Failure.INTERNAL, reason[: reasons.LIMIT])

    def _train(self) -> ExitReport:
        self._check_tombstone()
        self._enter(Phase.DOWNLOADING)
        plan, variables = self._prepared()
        self._check_tombstone()
        logs = self._open("stdout"), self._open("stderr")
        self._enter(Phase.TRAINING)
        try:
            program = Program(plan.command, variables, plan.directory, logs)
        except OSError as error:
            why = f"{plan.command[0]} cannot be started: {error.strerror or error}"
            raise Refused(Failure.CLIENT, why + _advice(error)) from error
        tasklock.note(self._lock, f"program {program.pid} {program.identity}")
        ended = program.wait(self._order)
        self._enter(Phase.UPLOADING)
        return self._kept(ended, plan.command)

    def _prepared(self) -> tuple[prepare.Plan, dict[str, str]]:
        """Everything the program needs, in place. SIGTERM breaks in here, for fetching may take long."""
        task, workdir = self._task, self._workdir
        signal.signal(signal.SIGTERM, _break_in)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        try:
            workdir.make()
            write_config(workdir, task)
            prepare.bring_checkpoints(task, workdir, self._objects)
            self._base = prepare.alias(task, workdir)
            prepare.bring_channels(task, workdir, self._objects, self._base)
            program = bring_code(task, workdir, self._objects)
            python = prepare.interpreter(task)
            given = self._given
            variables = environment(task, workdir, given.environment, devices=given.devices, python=python)
            return prepare.plan(task, self._base, program, python, variables), variables
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))

    def _kept(self, ended: Ended, command: Sequence[str]) -> ExitReport:
        """The report for a program that ran, after its artifacts were stored."""
        failed = ended.code != 0 and not ended.ordered
        at = time.time()
        try:
            model = artifacts.store(self._task, self._workdir, self._objects, failed=failed)
        except Refused as refused:
            if not failed:
                return self._report(ended.code, refused.failure, refused.reason, ended=at)
            model = ""
        artifacts.clear(self._workdir, inputs_only=failed)
        if ended.interrupted:
            return self._report(ended.code, Failure.INTERRUPTED, INTERRUPTED, ended=at)
        if failed:
            why = reasons.program_failed(ended.code, self._workdir, command)
            return self._report(ended.code, Failure.ALGORITHM, why, ended=at)
        return self._report(ended.code, model=model, killed=ended.ordered, ended=at)

    def _report(
        self,
        code: int | None,
        failure: Failure | None = None,
        reason: str = "",
        *,
        model: str = "",
        killed: bool = False,
        ended: float | None = None,
    ) -> ExitReport:
        name, attempt = self._task.name, self._task.attempt
        at = time.time() if ended is None else ended
        return ExitReport(name, attempt, code, failure, reason, model, killed, self._started, at)

    # ---- orders and news ----

    def _check_tombstone(self) -> None:
        if tasklock.read_tombstone(self._workdir) is not None:
            raise _Told

    def _order(self) -> tuple[float, bool]:
        grace = tasklock.read_tombstone(self._workdir)
        return (self._task.grace, False) if grace is None else (grace, True)

    def _enter(self, phase: Phase) -> None:
        at = time.time()
        if phase is Phase.TRAINING:
            self._started = at
        tasklock.note(self._lock, f"phase {phase} {at!r}")
        self._tell(f"phase {self._task.attempt} {self._task.name} {phase} {at!r}")

    def _tell(self, line: str) -> None:
        """Give a line to the controller, if it is still there. Short enough to be written in one piece."""
        try:
            os.write(self._given.report, line.encode() + b"\n")
        except OSError:
            return

    def _open(self, stream: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._workdir.stream(stream), flags, 0o644)

    def _say(self, text: str) -> None:
        """Leave a word in the job's log, where people look first."""
        try:
            handle = self._open("stderr")
        except OSError:
            return
        os.write(handle, text.rstrip().encode() + b"\n")
        os.close(handle)


def _break_in(number: int, frame: object) -> None:
    raise _Told


def _advice(error: OSError) -> str:
    advice = {
        "ENOEXEC": " (a script needs a first line such as #!/bin/sh)",
        "ENOENT": " (is the interpreter that its first line names there?)",
        "E2BIG": " (hyperparameters and environment are too large for the command line)",
    }
    import errno  # only on the way out

    return advice.get(errno.errorcode.get(error.errno or 0, ""), "")
