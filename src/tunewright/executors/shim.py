"""A training job's own process: prepares its directory, runs its program, stores what it leaves, and says how it ended.

A shim is forked by the fork server, is given one job after the other, and needs nobody while it is at one: it
goes on when the fork server and the controller are gone, and ends after that job. Whoever holds the attempt's
lock is its shim; a second one finds the lock taken and leaves.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from tunewright.core.errors import Invalid
from tunewright.core.ports import ExitReport, Objects
from tunewright.core.trial import Failure, Phase
from tunewright.executors import artifacts, pipes, prepare, processes, reasons, rooms, tasklock, wire
from tunewright.executors.clock import now
from tunewright.executors.code import bring_code
from tunewright.executors.codec import task_from_json
from tunewright.executors.contract import write_config
from tunewright.executors.environment import environment
from tunewright.executors.program import ORDER, Ended, Program
from tunewright.executors.reasons import Refused
from tunewright.executors.runtime import Runtime
from tunewright.executors.workdir import Workdir, write_exit

_BREAKING = (signal.SIGTERM, ORDER)
LOCK_PATIENCE = 0.2
JOBS = 500
"""A shim ends after so many jobs, and whatever has gathered in its memory with it."""

INTERRUPTED = "The training job was ended together with everything else: the machine or its service manager stopped it."


class _Told(Exception):
    """A signal came while there was no program yet."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all shims of a fork server have in common.

    Args:
        environment: the fork server's own.
        report: descriptor of the pipe on which the controller listens.
        runtime: how programs are run; `opt_ml` says what the kernel allows.
    """

    home: str
    objects: Objects
    environment: Mapping[str, str]
    report: int
    runtime: Runtime


def serve(line: socket.socket, surroundings: Surroundings) -> NoReturn:
    """Be a shim: one job after the other, until the line to the fork server breaks. Never returns.

    The signals in `program.WAITED` must be blocked. A job that cannot even be put on record ends this process
    in the midst of it, which the fork server reports.
    """
    status = 1
    try:
        os.setsid()
        processes.adopt_orphans()
        identity = processes.identity(os.getpid())
        ways = rooms.Rooms()
        for _ in range(JOBS):
            request = wire.receive(line)
            if request is None:
                break
            shim = _Shim(json.loads(request[0]), surroundings, identity, ways)
            news = shim.run(request[1])
            # In this order the fork server knows of an idle shim before the controller asks for the next job.
            with contextlib.suppress(OSError):
                line.send(b"i")
            shim.tell(news)
        status = 0
    finally:
        os._exit(status)


class _Shim:
    """One job: `message` holds the task, the GPUs it may use (or None), and changes to the environment."""

    def __init__(self, message: dict[str, Any], surroundings: Surroundings, identity: str, ways: rooms.Rooms) -> None:
        self._task = task_from_json(message["task"])
        self._devices: list[str] | None = message["devices"]
        self._changes: dict[str, str | None] = message["environment"]
        self._surroundings = surroundings
        self._objects = surroundings.objects
        self._workdir = Workdir.of(surroundings.home, self._task.name, self._task.attempt)
        self._identity = identity
        self._rooms = ways
        self._lock = -1
        self._base = self._workdir.base
        self._started: float | None = None

    def run(self, slots: Sequence[int]) -> str:
        """Do the job, unless another shim does it or it is over; what to tell. The slots are free afterwards."""
        lock = tasklock.take(self._workdir, LOCK_PATIENCE)
        mine = lock is not None and self._begin(lock)
        if mine:
            report = self._outcome()
            if report.failure is not None and report.exit_code is None:
                self._say(report.reason)
            if self._base not in (self._workdir.base, rooms.OPT_ML):
                prepare.drop_alias(self._base)
            write_exit(self._workdir, report)
        for handle in (*slots, *(() if lock is None else (lock,))):
            os.close(handle)
        return f"{'exit' if mine else 'left'} {self._task.attempt} {self._task.name}"

    def _begin(self, lock: int) -> bool:
        """Write this process's name into the lock; False when the attempt was begun or ended before."""
        if os.path.exists(self._workdir.exit) or os.fstat(lock).st_size:
            return False
        self._lock = lock
        tasklock.note(lock, f"shim {os.getpid()} {self._identity}")
        return True

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
        script, python, variables = self._prepared()
        self._check_tombstone()
        with self._room():
            plan = prepare.plan(self._task, self._base, script, python, variables)
            self._enter(Phase.TRAINING)
            program = self._program(plan, variables)
        tasklock.note(self._lock, f"program {program.pid} {program.identity}")
        feeders = pipes.start_feeders(self._task, self._workdir)
        ended = program.wait(lambda: tasklock.read_tombstone(self._workdir), self._task.grace, feeders)
        if why := Program.refusal(ended.code, reasons.tail(self._workdir) if ended.code in (126, 127) else ""):
            raise Refused(Failure.CLIENT, f"{plan.command[0]} cannot be started: {why}")
        self._enter(Phase.UPLOADING)
        return self._kept(ended, plan.command)

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        """Where the program is started: a room of its own, if there are any."""
        with contextlib.ExitStack() as stack:
            if self._base == rooms.OPT_ML:
                served = prepare.read_only(self._task, self._workdir)
                try:
                    stack.enter_context(self._rooms.opened(self._workdir.base, read_only=served))
                except OSError as error:
                    reason = f"The program could not be given its own /opt/ml: {error.strerror or error}"
                    raise Refused(Failure.INTERNAL, reason) from error
            yield

    def _program(self, plan: prepare.Plan, variables: Mapping[str, str]) -> Program:
        # A script runs where a person finds it too; an entry point's shell may split a path with blanks.
        directory = plan.directory if self._task.training.entrypoint else self._workdir.code
        logs = self._open("stdout"), self._open("stderr")
        try:
            return Program(plan.command, variables, directory, logs)
        except OSError as error:
            why = f"{plan.command[0]} cannot be started: {error.strerror or error}"
            raise Refused(Failure.CLIENT, why + _advice(error)) from error
        finally:
            for handle in logs:
                os.close(handle)

    def _prepared(self) -> tuple[str | None, str, dict[str, str]]:
        """Everything the program needs, in place: its script, its interpreter, its variables.

        Signals break in here, for fetching may take long.
        """
        task, workdir = self._task, self._workdir
        for number in _BREAKING:
            signal.signal(number, self._break_in)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _BREAKING)
        try:
            workdir.make()
            write_config(workdir, task)
            prepare.bring_checkpoints(task, workdir, self._objects)
            python = prepare.interpreter(task)
            rooms_here = self._surroundings.runtime.opt_ml == "auto"
            if rooms_here and not rooms.hides(workdir.base, sys.prefix, python):
                self._base = rooms.OPT_ML
            else:
                self._base = prepare.alias(task, workdir)
            prepare.bring_channels(task, workdir, self._objects, self._base, piped=True)
            pipes.make_pipes(task, workdir)
            script = bring_code(task, workdir, self._objects)
            if self._base != rooms.OPT_ML:
                prepare.protect(prepare.read_only(task, workdir))
            variables = environment(task, workdir, self._inherited(), devices=self._devices, python=python)
            return script, python, variables
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, _BREAKING)

    def _break_in(self, number: int, frame: object) -> None:
        if number == signal.SIGTERM or tasklock.read_tombstone(self._workdir) is not None:
            raise _Told

    def _inherited(self) -> dict[str, str]:
        """The fork server's environment with the controller's changes since it started the fork server."""
        environment = dict(self._surroundings.environment)
        for name, value in self._changes.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        return environment

    def _kept(self, ended: Ended, command: Sequence[str]) -> ExitReport:
        """The report for a program that ran, after its artifacts were stored."""
        failed = ended.code != 0 and not ended.ordered
        at = now()
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
        at = now() if ended is None else ended
        return ExitReport(name, attempt, code, failure, reason, model, killed, self._started, at)

    # ---- orders and news ----

    def _check_tombstone(self) -> None:
        if tasklock.read_tombstone(self._workdir) is not None:
            raise _Told

    def _enter(self, phase: Phase) -> None:
        at = now()
        if phase is Phase.TRAINING:
            self._started = at
        tasklock.note(self._lock, f"phase {phase} {at!r}")
        self.tell(f"phase {self._task.attempt} {self._task.name} {phase} {at!r}")

    def tell(self, line: str) -> None:
        """Give a line to the controller, if it is still there. Short enough to be written in one piece."""
        try:
            os.write(self._surroundings.report, line.encode() + b"\n")
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


def _advice(error: OSError) -> str:
    advice = {
        "ENOEXEC": " (a script needs a first line such as #!/bin/sh)",
        "ENOENT": " (is the interpreter that its first line names there?)",
        "E2BIG": " (hyperparameters and environment are too large for the command line)",
    }
    return advice.get(errno.errorcode.get(error.errno or 0, ""), "")
