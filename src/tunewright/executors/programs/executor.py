"""Training jobs as processes of this machine: `core.ports.Executor` over a fork server and its shims."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tunewright.core.ports import ExitReport, PhaseReport, Task
from tunewright.core.trial import Failure, Phase
from tunewright.executors import processes, tasklock
from tunewright.executors.bell import Bell
from tunewright.executors.claims import claim, keep
from tunewright.executors.contract.cluster import MAX_HOSTS
from tunewright.executors.listener import Listener
from tunewright.executors.news import News
from tunewright.executors.programs.end import LOST, Entry, ended_alone, looked_after, order, shim_of
from tunewright.executors.programs.forkclient import ForkClient, NoForkServer
from tunewright.executors.runtime import Runtime
from tunewright.executors.slots import Held, Slots
from tunewright.executors.workdir import UNREADABLE, Workdir, read_exit, read_settled, write_exit

_LOG = logging.getLogger("tunewright")

BEGIN_SECONDS = 5.0
_Key = tuple[str, int]


class LocalExecutor(News):
    """Runs scripts and commands as processes of this machine.

    Args:
        home: Tunewright's home; training jobs live below `jobs`.
        objects: the object directory, or the endpoint of an S3.
        slots: what may run at once.
        bell: rung when there is something to poll.
        runtime: how programs are run here.
        begin_seconds: how long a shim that was asked for may take until it holds its lock.
    """

    def __init__(
        self,
        home: Path,
        objects: Path | str,
        slots: Slots,
        bell: Bell,
        *,
        runtime: Runtime | None = None,
        begin_seconds: float = BEGIN_SECONDS,
    ) -> None:
        super().__init__(home, bell)
        self._slots = slots
        self._begin_seconds = begin_seconds
        self._launching = threading.Lock()
        self._entries: dict[_Key, Entry] = {}
        self._rest = b""
        self._listener = Listener()
        reading, self._writing = os.pipe()
        os.set_blocking(reading, False)
        self._runtime = runtime or Runtime()
        self._server = ForkClient(self._home, str(objects), self._writing, self._watch_server, self._runtime)
        self._listener.watch(reading, lambda: self._hear(reading))

    @property
    def server_pid(self) -> int | None:
        """The fork server's process id, for tests."""
        return self._server.pid

    # ---- core.ports.Executor ----

    def launch(self, task: Task) -> str | None:
        """Start a task, or find it started already; its handle. None: no slot is free now.

        An attempt that was begun is never begun again: when its shim is gone without a word, it is lost.

        Raises:
            Invalid: the task's name is not a training job's name.
            OSError: an earlier training job of that name still runs here.
        """
        with self._launching:
            with self._guard:
                if self._known(task) is not None:
                    return _handle(task)
                workdir = claim(self._home, task)
                entry = self._entry(task, workdir)
            if os.path.exists(workdir.base) and self._find(entry):
                return _handle(task)
            try:
                return self._start(entry)
            finally:
                if not entry.own and not entry.done:
                    with self._guard:
                        self._entries.pop((task.name, task.attempt), None)

    def _start(self, entry: Entry) -> str | None:
        task, training = entry.task, entry.task.training
        cpus, gpus = training.cpus * training.hosts, training.gpus * training.hosts
        impossible = _too_many(training.hosts) or self._slots.impossible(gpus)
        if impossible:
            self._conclude(entry, ExitReport(task.name, task.attempt, None, Failure.CLIENT, impossible))
            return _handle(task)
        held = self._slots.acquire(cpus, gpus)
        if held is None:
            self._starve()
            return None
        devices = held.devices if self._slots.capacity.gpus else None
        entry.own = entry.launched = True  # before the answer: the fork server may die the moment after it
        try:
            entry.own = self._ask(entry, held, devices)
        finally:
            held.close()
        return _handle(task) if entry.own else None

    def _ask(self, entry: Entry, held: Held, devices: tuple[str, ...] | None) -> bool:
        """Have a shim do the job; False when the system has no room for one.

        A fork server that dies over it is asked for again, once: should two shims come of it, one finds the
        lock taken. Then the job is waited for, and is lost if nobody begins it.
        """
        for last in (False, True):
            try:
                pid = self._server.launch(entry.task, held, devices)
            except NoForkServer as error:
                if last:
                    entry.lost = f"{LOST} The fork server is gone: {error}"
                    self._adopt(entry)
            else:
                entry.shim = None if pid is None else (pid, processes.identity(pid))
                return pid is not None
        return True

    def watch(self, task: Task, handle: str | None) -> None:
        """Take over a task that an earlier controller launched."""
        with self._guard:
            if self._known(task) is not None:
                return
            entry = self._entry(task, Workdir.of(self._home, task.name, task.attempt))
            entry.launched = True
            try:
                if not self._find(entry):
                    self._adopt(entry)
            except OSError:
                del self._entries[task.name, task.attempt]
                raise

    def kill(self, task: Task) -> None:
        """Begin to end a task; its ExitReport follows. A second call with a smaller grace hurries it."""
        with self._guard:
            entry = self._known(task) or self._entry(task, claim(self._home, task))
            workdir = entry.workdir
            if entry.done or self._finished(entry):
                return
            tasklock.write_tombstone(workdir, task.grace)
            if looked_after(entry):
                order(entry)
                if not entry.own:
                    self._adopt(entry)
                return
        self._conclude_unheld(entry)

    def forget(self, name: str, attempt: int) -> None:
        """Drop what is held in memory about a task whose exit is committed."""
        with self._guard:
            entry = self._entries.get((name, attempt))
            if entry is not None and entry.done:
                del self._entries[name, attempt]

    def close(self) -> None:
        """Let go of everything; training jobs go on."""
        self._listener.close()
        self._server.close()
        self._slots.close()
        os.close(self._writing)

    # ---- what shims and the fork server say (the listener's thread) ----

    def _hear(self, reading: int) -> bool:
        try:
            data = os.read(reading, 1 << 16)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                self._heard(line.decode().split(" "))
            except OSError:  # of one task; what is said of others is heard
                _LOG.exception("what was said of a training job's program could not be followed: %r", line)
        return True

    def _heard(self, words: Sequence[str]) -> None:
        kind, attempt, name, *rest = words
        with self._guard:
            entry = self._entries.get((name, int(attempt)))
        if entry is None or entry.done:
            return
        if kind == "phase":
            with self._guard:
                entry.phases += 1
                self._tell(PhaseReport(name, entry.task.attempt, Phase(rest[0]), float(rest[1])))
        else:
            entry.shim = None  # it is at other jobs from now on, if it is at all
            try:
                self._shim_left(entry)
            except OSError:
                self._look_again(entry)
                raise

    def _watch_server(self, reading: int) -> None:
        self._listener.watch(reading, self._server_died)

    def _server_died(self) -> bool:
        """Nobody reaps the shims of a dead fork server: from now on they are looked after one by one."""
        self._server.gone()
        with self._guard:
            orphans = [entry for entry in self._entries.values() if entry.own and not entry.done]
        for entry in orphans:
            self._adopt(entry)
        return False

    # ---- finding out how a task stands ----

    def _known(self, task: Task) -> Entry | None:
        """A task that is looked after; of one that is over the end is told again."""
        entry = self._entries.get((task.name, task.attempt))
        if entry is not None and entry.report is not None:
            self._tell(entry.report)
        return entry

    def _entry(self, task: Task, workdir: Workdir) -> Entry:
        entry = Entry(task, workdir, time.monotonic() + self._begin_seconds)
        return self._entries.setdefault((task.name, task.attempt), entry)

    def _find(self, entry: Entry) -> bool:
        """Take over an attempt of which there are traces; False when there are none."""
        if self._finished(entry):
            return True
        state = tasklock.read_state(entry.workdir)
        if tasklock.is_held(entry.workdir):
            self._adopt(entry)
        elif state.shim is not None or tasklock.read_tombstone(entry.workdir) is not None:
            self._conclude_unheld(entry)
        else:
            return False
        return True

    def _finished(self, entry: Entry, *, over: bool = False) -> bool:
        """Whether the attempt's end is on record; then it is reported.

        Args:
            over: its shim is gone, so that an end which cannot be read now never can.
        """
        try:
            report = read_settled(entry.workdir, entry.task) if over else read_exit(entry.workdir)
        except UNREADABLE:
            return False
        if report is not None:
            self._finish(entry, report)
        return report is not None

    def _adopt(self, entry: Entry) -> None:
        """Notice the end of a job whose shim reports to nobody, or to another controller.

        A shim that is left alone ends with its job, which the system tells at once; one that still has its
        controller goes on to other jobs, so its lock has to be looked at as well.
        """
        shim = shim_of(entry)
        handle = processes.open_process(shim[0]) if shim is not None else None
        if handle is not None:
            self._listener.watch(handle, lambda: self._shim_ended(entry))
        self._look_again(entry)

    def _shim_ended(self, entry: Entry) -> bool:
        with contextlib.suppress(OSError):  # it is looked at again
            if not entry.done and not self._finished(entry, over=True):
                self._look(entry)
        return False

    def _look_again(self, entry: Entry) -> None:
        """Look at an attempt until it is over, also while its directory cannot be looked into."""

        def going_on() -> bool:
            try:
                return not self._look(entry)
            except OSError:
                return True

        self._listener.look(going_on)

    def _look(self, entry: Entry) -> bool:
        """Whether an adopted attempt is over; asked again and again where the system cannot tell us."""
        if entry.done or self._finished(entry):
            return True
        if looked_after(entry):
            return False
        begun = tasklock.read_state(entry.workdir).shim is not None
        if begun or time.monotonic() > entry.until:
            self._conclude_unheld(entry)
        return entry.done

    def _shim_left(self, entry: Entry) -> None:
        """A shim is gone, or says that it is done."""
        if not entry.done and not self._finished(entry, over=True):
            if looked_after(entry):
                self._adopt(entry)
            else:
                self._conclude_unheld(entry)

    def _conclude_unheld(self, entry: Entry) -> None:
        """End an attempt that no shim holds: it was lost, or it is told to end before it began."""
        report = ended_alone(entry, self._runtime, str(self._home))
        self._conclude(entry, report)

    def _conclude(self, entry: Entry, report: ExitReport) -> None:
        """Put an end on record that no shim can; unless one holds the attempt, which then decides."""
        lock = tasklock.take(entry.workdir)
        if lock is None:
            self._look_again(entry)
            return
        try:
            if not self._finished(entry):
                with contextlib.suppress(OSError):  # a full disk must not keep the controller from being told
                    if keep(entry.workdir, entry.task):
                        write_exit(entry.workdir, report)
                self._finish(entry, report)
        finally:
            os.close(lock)

    # ---- the end ----

    def _finish(self, entry: Entry, report: ExitReport) -> None:
        with self._guard:
            if entry.done:
                return
            entry.report = report
            name, attempt = entry.task.name, entry.task.attempt
            late = tasklock.read_state(entry.workdir).phases[entry.phases :]
            self._tell(*(PhaseReport(name, attempt, phase, at) for phase, at in late), report)


def _too_many(hosts: int) -> str:
    if hosts <= MAX_HOSTS:
        return ""
    return f"the training job asks for {hosts} instances, and one machine plays at most {MAX_HOSTS}. Ask for fewer"


def _handle(task: Task) -> str:
    return f"local:{task.name}/{task.attempt}"
