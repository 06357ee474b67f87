"""A training job's own process: prepares its directory, runs its programs, stores what they leave, tells their end.

A shim is forked by the fork server, is given one job after the other, and needs nobody while it is at one: it
goes on when the fork server and the controller are gone, and ends after that job. Whoever holds the attempt's
lock is its shim; a second one finds the lock taken and leaves.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from tunewright.core.errors import Invalid
from tunewright.core.ports import ExitReport, Objects
from tunewright.core.trial import Failure, Phase
from tunewright.executors import claims, processes, reasons, rooms, tasklock, wire
from tunewright.executors.clock import now
from tunewright.executors.codec import task_from_json
from tunewright.executors.contract import artifacts, inputs, pipes, prepare
from tunewright.executors.contract.cluster import Cluster, merge, write_names
from tunewright.executors.patience import patiently
from tunewright.executors.programs.containers import ContainerStage
from tunewright.executors.programs.crew import Crew, Ended
from tunewright.executors.programs.networks import Networks
from tunewright.executors.programs.program import ORDER, Program
from tunewright.executors.programs.stage import Stage
from tunewright.executors.reasons import DISPLACED, Refused
from tunewright.executors.runtime import Runtime
from tunewright.executors.workdir import Workdir, write_exit, write_plain

_BREAKING = (signal.SIGTERM, ORDER)
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
        networks = Networks(rooms.Rooms())
        for _ in range(JOBS):
            request = wire.receive(line)
            if request is None:
                break
            shim = _Shim(json.loads(request[0]), surroundings, identity, networks)
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

    def __init__(self, message: dict[str, Any], surroundings: Surroundings, identity: str, networks: Networks) -> None:
        self._task = task_from_json(message["task"])
        self._devices: list[str] | None = message["devices"]
        self._changes: dict[str, str | None] = message["environment"]
        self._surroundings = surroundings
        self._objects = surroundings.objects
        self._workdir = Workdir.of(surroundings.home, self._task.name, self._task.attempt)
        self._identity = identity
        self._networks = networks
        self._lock = -1
        self._stages: list[Stage] = []
        self._started: float | None = None

    def run(self, slots: Sequence[int]) -> str:
        """Do the job, unless another shim does it or it is over; what to tell. The slots are free afterwards."""
        lock = patiently(lambda: tasklock.take(self._workdir, tasklock.PATIENCE))
        mine = lock is not None and self._begin(lock)
        if mine:
            report = self._outcome()
            if report.failure is not None and report.exit_code is None:
                self._say(report.reason)
            for stage in self._stages:
                stage.close()
            self._put_on_record(report)
        for handle in (*slots, *(() if lock is None else (lock,))):
            os.close(handle)
        return f"{'exit' if mine else 'left'} {self._task.attempt} {self._task.name}"

    def _put_on_record(self, report: ExitReport) -> None:
        """Write down the end, unless the directory is gone and somebody else has made it anew for another end."""
        if tasklock.in_place(self._lock, self._workdir):
            self._write_exit(report)
            return
        lock = tasklock.take(self._workdir)
        if lock is None:
            return
        unused = not os.fstat(lock).st_size and not os.path.exists(self._workdir.exit)
        if unused and claims.keep(self._workdir, self._task):
            self._write_exit(report)
        os.close(lock)

    def _write_exit(self, report: ExitReport) -> None:
        """Put the end on record, however long that takes on a full disk."""
        patiently(lambda: write_exit(self._workdir, report))

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
        except Exception as error:  # a training job always gets an end, and this is our fault, not its own
            self._say(traceback.format_exc())
            reason = f"The training job could not be looked after: {type(error).__name__}: {error}"
            return self._report(None, Failure.INTERNAL, reason[: reasons.LIMIT])

    def _train(self) -> ExitReport:
        self._check_tombstone()
        self._enter(Phase.DOWNLOADING)
        names = self._prepared()
        self._check_tombstone()
        crew = self._started_crew(names)
        feeders = [pid for stage in self._stages for pid in pipes.start_feeders(stage.task, stage.workdir)]
        ended = crew.wait(lambda: tasklock.read_tombstone(self._workdir), self._task.grace, feeders)
        culprit = self._stages[ended.culprit or 0]
        if not ended.ordered and (refused := culprit.refused(ended.code)):
            raise refused
        if tampered := culprit.tampered():
            raise tampered
        self._enter(Phase.UPLOADING)
        if not tasklock.in_place(self._lock, self._workdir):
            return self._displaced(ended)
        return self._kept(ended, culprit)

    def _started_crew(self, names: str | None) -> Crew:
        """The programs of all hosts, started; none is left when one of them cannot be."""
        started: list[Program] = []
        alone = self._task.training.isolated and not isinstance(self._stages[0], ContainerStage)
        if alone:
            self._networks.renew()
        try:
            for stage in self._stages:
                start = functools.partial(stage.start, self._networks.mounts, names)
                started.append(self._networks.inside(start) if alone else start())
                if len(started) == 1:
                    self._enter(Phase.TRAINING)
                tasklock.note(self._lock, f"program {started[-1].pid} {started[-1].identity}")
        except BaseException:  # raised again: no program outlives a start that failed
            Crew(started).abandon()
            raise
        return Crew(started)

    def _prepared(self) -> str | None:
        """Everything the programs need, in place. Signals break in here, for fetching may take long.

        Returns:
            What takes the place of /etc/hosts in the programs' rooms, if anything.
        """
        task, workdir = self._task, self._workdir
        for number in _BREAKING:
            signal.signal(number, self._break_in)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _BREAKING)
        try:
            cluster = Cluster.of(task.training)
            self._stages = self._cast(cluster)
            workdir.make()
            prepare.bring_checkpoints(task, workdir, self._objects)
            shares = inputs.shard(task, cluster, workdir, self._objects)
            inherited, several = self._inherited(), len(cluster.hosts) > 1
            for place, stage in enumerate(self._stages):
                stage.prepare(self._objects, inherited, self._share(place), shares.get(stage.host))
            names = workdir.at("hosts", "names")
            return names if several and write_names(names, task, cluster) else None
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, _BREAKING)

    def _cast(self, cluster: Cluster) -> list[Stage]:
        """A stage for each host, or the one of an image that a container engine runs."""
        runtime, task = self._surroundings.runtime, self._task
        image = runtime.image(task.training.image)
        if image is not None and image.engine:
            return [ContainerStage(task, self._workdir, self._surroundings.home, image)]
        prepare.check(task)
        roomy = runtime.opt_ml == "auto"
        stages = [Stage(task, cluster, host, self._workdir, roomy=roomy, image=image) for host in cluster.hosts]
        for stage in stages if runtime.requirements == "install" else ():
            stage.packages = os.path.join(self._surroundings.home, "packages")
        return stages

    def _share(self, place: int) -> list[str] | None:
        """The GPUs of one of the hosts."""
        if self._devices is None:
            return None
        each = self._task.training.gpus
        return self._devices[place * each : (place + 1) * each]

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

    def _kept(self, ended: Ended, culprit: Stage) -> ExitReport:
        """The report for programs that ran, after their artifacts were stored. One that did not fail ends with that."""
        failed = ended.code != 0 and not ended.ordered
        at = now()
        others = [stage.workdir for stage in self._stages[1:]]
        try:
            if others:
                order = [self._stages[place].host for place in ended.order]
                write_plain(self._workdir.stream("hosts"), "".join(f"{host}\n" for host in order))
                merge(self._workdir, others)
            model = artifacts.store(self._task, self._workdir, self._objects, failed=failed)
        except Refused as refused:
            if not failed:
                return self._report(ended.code, refused.failure, refused.reason, ended=at)
            model = ""
        for workdir in (self._workdir, *others):
            artifacts.clear(workdir, inputs_only=failed)
        if ended.interrupted:
            return self._report(ended.code, Failure.INTERRUPTED, INTERRUPTED, ended=at)
        if failed:
            why = reasons.program_failed(ended.code, culprit.workdir, culprit.command)
            where = f"on {culprit.host}: " if others else ""
            return self._report(ended.code, Failure.ALGORITHM, (where + why)[: reasons.LIMIT], ended=at)
        return self._report(ended.code, model=model, killed=ended.ordered)

    def _displaced(self, ended: Ended) -> ExitReport:
        """The report for programs whose directory is gone, and with it whatever there was to be kept."""
        if ended.interrupted:
            return self._report(ended.code, Failure.INTERRUPTED, INTERRUPTED)
        if ended.ordered:
            return self._report(ended.code, killed=True)
        reason = f"{DISPLACED.format(self._workdir.base)} Its exit code was {ended.code}."
        return self._report(ended.code, Failure.ALGORITHM, reason[: reasons.LIMIT])

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

    def _say(self, text: str) -> None:
        """Leave a word in the job's log, where people look first."""
        try:
            handle = self._workdir.append("stderr")
        except OSError:
            return
        with contextlib.suppress(OSError):  # nobody is helped by an end that is lost over it
            os.write(handle, text.rstrip().encode() + b"\n")
        os.close(handle)
