"""Python functions as training jobs: `core.ports.Executor` over a pool of warm worker processes.

A call costs a message to a worker and one back. Workers end with their controller; what they were calling is then
attempted again (`Failure.INTERRUPTED`), for nobody else could go on with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tunewright.core.ports import ExitReport, Objects, PhaseReport, Task
from tunewright.core.trial import Failure, Phase
from tunewright.executors import processes, tasklock
from tunewright.executors.bell import Bell
from tunewright.executors.claims import claim
from tunewright.executors.clock import now
from tunewright.executors.codec import exit_from_json, task_to_json
from tunewright.executors.functions import end as functions_end
from tunewright.executors.functions.call import Call, handle, release
from tunewright.executors.functions.pool import Pool
from tunewright.executors.functions.worker_place import sweep
from tunewright.executors.functions.worker_process import Kind, WorkerProcess
from tunewright.executors.listener import Listener
from tunewright.executors.news import News
from tunewright.executors.slots import Held, Slots
from tunewright.executors.workdir import Workdir

IDLE_SECONDS = 120.0
"""A worker that had nothing to do for so long ends."""
TRIES = 3
"""How many workers may be gone before they see a call, until the call is given up."""

_Key = tuple[str, int]


class FunctionExecutor(News):
    """Runs tasks that have a `training.function`.

    Args:
        home: Tunewright's home; training jobs live below `jobs`.
        objects: where inputs and models are; handed to the workers, so it must be picklable.
        slots: what may run at once.
        bell: rung when there is something to poll.
    """

    def __init__(self, home: Path, objects: Objects, slots: Slots, bell: Bell) -> None:
        super().__init__(home, bell)
        self._objects = objects
        self._slots = slots
        self._calls: dict[_Key, Call] = {}
        self._listener = Listener()
        self._pool: Pool[Call] = Pool(self._home, objects)
        self._looking = False
        self._timer: threading.Timer | None = None
        self._closed = False
        self._concluding: list[threading.Thread] = []

    def worker_pids(self) -> list[int]:
        """Process ids of the workers, for tests."""
        with self._guard:
            return [worker.pid for worker in self._pool]

    # ---- core.ports.Executor ----

    def launch(self, task: Task) -> str | None:
        """Start a task, or find it started already; its handle. None: no slot is free now.

        Raises:
            OSError: no worker process can be started, or an earlier training job of that name still runs here.
            Invalid: the task's name is not a training job's name.
        """
        with self._guard:
            if self._known(task) is not None:
                return handle(task)
            workdir = claim(self._home, task, make=False)
            call = Call(task, workdir)
            training = task.training
            if functions_end.begun(workdir):
                self._adopt(call)
                return handle(task)
            impossible = self._slots.impossible(training.gpus)
            if impossible:
                self._calls[task.name, task.attempt] = call
                self._conclude(call, ExitReport(task.name, task.attempt, None, Failure.CLIENT, impossible))
                return handle(task)
            call.held = self._slots.acquire(training.cpus, training.gpus)
            if call.held is None:
                self._starve()
                return None
            try:
                self._assign(call, call.held)
            except BaseException:  # raised again, the slots given back first
                call.held.close()
                raise
            self._calls[task.name, task.attempt] = call
            return handle(task)

    def watch(self, task: Task, handle: str | None) -> None:
        """Take over a task that an earlier controller launched."""
        with self._guard:
            if self._known(task) is None:
                self._adopt(Call(task, Workdir.of(self._home, task.name, task.attempt)))

    def kill(self, task: Task) -> None:
        """Begin to end a task; its ExitReport follows. A second call with a smaller grace hurries it."""
        with self._guard:
            call = self._known(task)
            if call is None:
                call = Call(task, claim(self._home, task))
                call.killed = True
                if not os.path.exists(call.workdir.exit):
                    tasklock.write_tombstone(call.workdir, task.grace)
                self._adopt(call)
            if call.over:
                return
            first, call.killed = not call.killed, True
            worker = call.worker
            if worker is not None and call.started is None:
                self._drop(call, worker)
                return
            if first:
                tasklock.write_tombstone(call.workdir, task.grace)
            deadline = time.monotonic() + task.grace
            call.kill_at = deadline if call.kill_at is None else min(call.kill_at, deadline)
            self._signal(call, signal.SIGTERM if task.grace > 0 else signal.SIGKILL)
            self._look()

    def forget(self, name: str, attempt: int) -> None:
        """Drop what is held in memory about a task whose exit is committed."""
        with self._guard:
            call = self._calls.get((name, attempt))
            if call is not None and call.over:
                del self._calls[name, attempt]

    def close(self) -> None:
        """End the workers, with what they are calling."""
        with self._guard:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            busy = [worker for worker in self._pool if worker.call is not None or not worker.ready]
            for worker in busy:
                worker.kill()
        self._listener.close()
        self._pool.end()
        for thread in self._concluding:
            thread.join()
        self._slots.close()

    # ---- calls and workers ----

    def _assign(self, call: Call, held: Held) -> None:
        """Give a call to an idle worker, or to a new one."""
        devices = held.devices if self._slots.capacity.gpus else None
        kind = Kind.of(call.task, devices)
        while (worker := self._pool.take(kind, call.task.job)) is not None:
            call.worker, worker.call = worker, call
            try:
                self._send(worker, call)
            except OSError:
                # It has ended without our having noticed yet; its end is noticed like any other.
                call.worker = worker.call = call.started = None
                worker.ending = True
            else:
                return
        if not self._pool.started:
            self._listener.look(self._sweep)
        worker = self._pool.start(kind, self._slots.capacity.cpus)
        call.worker, worker.call = worker, call
        self._listener.watch(worker.fileno(), lambda: self._hear(worker))
        self._notice_end(worker)

    def _notice_end(self, worker: WorkerProcess[Call]) -> None:
        pidfd = processes.open_process(worker.pid)
        if pidfd is not None:
            self._listener.watch(pidfd, lambda: self._ended(worker))
        else:
            self._listener.look(lambda: self._ended(worker))

    def _send(self, worker: WorkerProcess[Call], call: Call) -> None:
        assert call.held is not None, "a call that is not over has its slots"
        call.started = now()
        worker.job = call.task.job
        worker.send({"task": task_to_json(call.task), "devices": worker.kind.devices}, call.held.fds)
        if not call.task.training.channels and call.task.checkpoint_uri is None:
            # Nothing to fetch: told with the next poll, which need not come for this alone.
            for phase in (Phase.DOWNLOADING, Phase.TRAINING):
                self._reports.append(PhaseReport(call.task.name, call.task.attempt, phase, call.started))

    def _drop(self, call: Call, worker: WorkerProcess[Call]) -> None:
        """Take back a call that its worker has not been given yet."""
        worker.call = call.worker = None
        tasklock.write_tombstone(call.workdir, call.task.grace)
        report = ExitReport(call.task.name, call.task.attempt, None, killed=True, ended=now())
        self._conclude(call, report)

    def _signal(self, call: Call, number: int) -> None:
        """SIGTERM goes to the worker, which may tell its children; SIGKILL to all of its group."""
        if call.worker is not None:
            call.worker.kill() if number == signal.SIGKILL else call.worker.signal(number)
        elif call.foreign:
            state = tasklock.read_state(call.workdir)
            if state.shim is not None and processes.same_process(*state.shim) and tasklock.is_held(call.workdir):
                if number == signal.SIGKILL:
                    processes.kill_group(state.shim[0], number)
                else:
                    os.kill(state.shim[0], number)

    # ---- what workers say (the listener's thread) ----

    def _hear(self, worker: WorkerProcess[Call]) -> bool:
        with self._guard:
            messages, more = worker.hear()
            for message in messages:
                self._heard(worker, message)
            if not more:
                worker.detach()
            return more

    def _heard(self, worker: WorkerProcess[Call], message: dict[str, Any]) -> None:
        call = worker.call
        if "ready" in message:
            worker.ready = True
            if call is None:
                self._give_back(worker)
                return
            try:
                self._send(worker, call)
            except OSError:  # it has just ended, which will be noticed
                call.started = None
        elif call is None:
            return
        elif "phase" in message:
            phase = Phase(message["phase"])
            if phase is Phase.UPLOADING:
                call.kill_at, call.uploading = None, True
            self._tell(PhaseReport(call.task.name, call.task.attempt, phase, message["at"]))
        elif "taken" in message:
            worker.call = call.worker = None
            self._give_back(worker)
            self._adopt(call)
        else:
            worker.call = call.worker = None
            worker.sources.update(message.get("sources", {}))
            worker.ending = bool(message.get("last"))
            self._give_back(worker)
            self._tell_end(call, exit_from_json(message["exit"]))

    def _give_back(self, worker: WorkerProcess[Call]) -> None:
        """A worker is idle again; it ends when it stays so for long."""
        worker.idle_since = time.monotonic()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = threading.Timer(IDLE_SECONDS, self._dismiss_idle)
            self._timer.daemon = True
            self._timer.start()

    def _dismiss_idle(self) -> None:
        with self._guard:
            self._timer = None
            self._pool.dismiss_idle(IDLE_SECONDS)
            if any(True for _ in self._pool):
                self._set_timer()

    def _ended(self, worker: WorkerProcess[Call]) -> bool:
        """A worker may have ended: answers whether it has not."""
        with self._guard:
            if not worker.gone():
                return True
            if worker.fileno() >= 0:
                for message in worker.hear()[0]:
                    self._heard(worker, message)
            code, words = worker.reap(), worker.last_words()
            worker.leave()
            self._pool.drop(worker)
            call, worker.call = worker.call, None
            # While closing, what ends is for the next controller to find.
            if call is not None and not self._closed:
                call.worker = None
                if not self._again(call):
                    lost = functions_end.Lost(call.task, code, call.started, call.killed, worker.marker, words)
                    self._conclude_lost(call, lost)
        return False

    def _again(self, call: Call) -> bool:
        """Give a call to another worker when the first one had ended before it saw the request."""
        call.tries += 1
        if call.started is None or call.killed or call.tries > TRIES or functions_end.begun(call.workdir):
            return False
        assert call.held is not None, "a call that is not over has its slots"
        call.started = None
        try:
            self._assign(call, call.held)
        except OSError:
            return False
        return True

    def _conclude_lost(self, call: Call, lost: functions_end.Lost) -> None:
        """Store what a lost call left, aside: it may take long."""

        def conclude() -> None:
            self._finish(call, functions_end.conclude(lost, call.workdir, self._objects))

        thread = threading.Thread(target=conclude, name="tunewright-lost", daemon=True)
        self._concluding = [each for each in self._concluding if each.is_alive()]
        self._concluding.append(thread)
        thread.start()

    def _known(self, task: Task) -> Call | None:
        """A task that is looked after; of one that is over the end is told again."""
        call = self._calls.get((task.name, task.attempt))
        if call is not None and call.report is not None:
            self._tell(call.report)
        return call

    # ---- calls that are not ours ----

    def _adopt(self, call: Call) -> None:
        """Find out how an attempt stands that another controller began."""
        self._calls[call.task.name, call.task.attempt] = call
        call.foreign = True
        self._settle(call)
        if not call.over:
            self._look()

    def _settle(self, call: Call) -> None:
        """Tell the end of a foreign call, if it has one; what cannot be looked into now is looked at again."""
        with contextlib.suppress(OSError):
            report = functions_end.end_of(call.task, call.workdir)
            if report is not None:
                self._finish(call, report)

    def _look(self) -> None:
        """Look at deadlines and at foreign calls from time to time while there are any."""
        if not self._looking:
            self._looking = True
            self._listener.look(self._looked)

    def _looked(self) -> bool:
        with self._guard:
            at = time.monotonic()
            waiting = [call for call in self._calls.values() if not call.over]
            for call in waiting:
                if call.kill_at is not None and call.kill_at <= at:
                    call.kill_at = None
                    self._signal(call, signal.SIGKILL)
                if call.foreign:
                    self._settle(call)
            self._looking = any((call.foreign or call.kill_at is not None) and not call.over for call in waiting)
            return self._looking

    def _sweep(self) -> bool:
        sweep(str(self._home))
        return False

    # ---- news ----

    def _tell_end(self, call: Call, report: ExitReport) -> None:
        """A worker's word; the phase that a call without artifacts was in for no time is told along."""
        if report.started is not None and report.ended is not None and not call.uploading:
            self._reports.append(PhaseReport(report.name, report.attempt, Phase.UPLOADING, report.ended))
        self._finish(call, report)

    def _conclude(self, call: Call, report: ExitReport) -> None:
        functions_end.record(call.workdir, report)
        self._finish(call, report)

    def _finish(self, call: Call, report: ExitReport) -> None:
        with self._guard:
            if call.over:
                return
            call.report = report
            held, call.held = call.held, None
            if held is not None:
                release(held)
            self._tell(report)
