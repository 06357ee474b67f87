"""A warm process that calls training functions, one at a time: `main` is what the pool starts.

A task and the descriptors of its slots come on a socket (`wire`); phases and its end go back, a JSON object a line.
The worker ends as soon as its controller does. On Linux the kernel sees to that: a pipe that carries nothing but
the controller's life sends SIGKILL to the worker's whole group when it breaks.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import pickle
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewright.core.ports import ExitReport, Objects, Task
from tunewright.core.trial import Failure, Phase
from tunewright.executors import tasklock, wire
from tunewright.executors.clock import now
from tunewright.executors.codec import exit_to_json, task_from_json
from tunewright.executors.contract import artifacts, inputs, prepare
from tunewright.executors.contract.environment import environment
from tunewright.executors.contract.packing import is_empty
from tunewright.executors.functions.worker_call import Caller, Outcome, Stopped, Terminator
from tunewright.executors.functions.worker_modules import Sources
from tunewright.executors.functions.worker_place import Place, Spares, Taken
from tunewright.executors.functions.worker_streams import Streams, Surroundings
from tunewright.executors.reasons import DISPLACED, LIMIT, Refused

INTERRUPTED = (
    "the function's process got SIGTERM from somebody else: the machine or its service manager is ending everything,"
    " or the function signals itself."
)
INTERRUPTIONS = 3
"""The attempt from which on such a signal is the function's own failure."""


class Worker:
    """Serves one controller until it is gone.

    Args:
        control: the socket to the controller.
        home: Tunewright's home directory.
        objects: where files are, pickled; loaded when a task has files.
    """

    def __init__(self, control: socket.socket, home: str, objects: bytes) -> None:
        self._control = control
        self._pickled = objects
        self._objects: Objects | None = None
        self._spares = Spares(home)
        self._caller = Caller(home)
        self._streams = Streams()
        self._surroundings = Surroundings()
        self._terminator = Terminator()
        self._sources = Sources()

    def serve(self) -> None:
        """Call functions; returns when the controller wants no more, or when a call was broken off."""
        # Outside a call SIGTERM is remembered and nothing else.
        signal.signal(signal.SIGTERM, self._terminator)
        self._say({"ready": True})
        while (request := wire.receive(self._control)) is not None:
            message, slots = json.loads(request[0]), request[1]
            task = task_from_json(message["task"])
            answer, used = self._attempt(task, message["devices"])
            for slot in slots:
                # Children of the function may hold copies; the slot is free all the same.
                fcntl.flock(slot, fcntl.LOCK_UN)
                os.close(slot)
            self._say(answer)
            if answer.get("last"):
                break
            self._spares.prepare(task, used)
        self._spares.close()

    # ---- one call ----

    def _attempt(self, task: Task, devices: list[str] | None) -> tuple[dict[str, Any], Place | None]:
        """The answer to the controller, and the place of a call that ended well."""
        try:
            place = self._spares.claim(task)
        except Taken:
            return {"taken": True}, None
        except OSError as error:
            reason = f"The training job's directory could not be made: {error}"[:LIMIT]
            return {"exit": exit_to_json(ExitReport(task.name, task.attempt, None, Failure.INTERNAL, reason))}, None
        report = self._run(place, task, devices)
        with contextlib.suppress(OSError):  # a full disk: the controller is told all the same
            place.conclude(report)
        answer = {"exit": exit_to_json(report), "last": self._terminator.broke_in, "sources": self._sources.fresh()}
        if report.failure is None and not answer["last"]:
            return answer, place
        place.close()
        return answer, None

    def _run(self, place: Place, task: Task, devices: list[str] | None) -> ExitReport:
        """Call the function and keep what it wrote: how the attempt ended."""
        with self._streams.into(place.logs):
            started, outcome = self._call(place, task, devices)
            if not outcome.stopped and not tasklock.in_place(place.lock, place.workdir):
                outcome = Outcome(outcome.code, Failure.ALGORITHM, DISPLACED.format(place.workdir.base)[:LIMIT])
            # A signal that comes from here on comes too late: the call has its own end.
            told, ended = self._terminator.came or outcome.stopped, now()
            model, outcome = self._keep(task, place, outcome)
        failure, reason = outcome.failure, outcome.reason
        killed = (told or self._terminator.replaced) and os.path.exists(place.workdir.tombstone)
        if killed:
            failure, reason = None, ""
        elif told:
            # Again and again it is no service manager: the function, or a library, signals its own process.
            failure = Failure.INTERRUPTED if task.attempt < INTERRUPTIONS else Failure.ALGORITHM
            reason = INTERRUPTED
        return ExitReport(task.name, task.attempt, outcome.code, failure, reason, model, killed, started, ended)

    def _call(self, place: Place, task: Task, devices: list[str] | None) -> tuple[float | None, Outcome]:
        """When the function was called (None if it never was), and how that ended."""
        started: float | None = None
        try:
            with self._terminator:
                before = self._surroundings.variables
                self._surroundings.enter(environment(task, place.workdir, before, devices=devices))
                self._check(place)
                self._bring(task, place)
                started = now()
                return started, self._caller.call(task, place.workdir)
        except Stopped:
            return started, Outcome(None if started is None else -signal.SIGTERM, stopped=True)
        except Refused as refused:
            return started, Outcome(None, refused.failure, refused.reason)
        except Exception as error:  # a training job always gets an end, and this is our fault, not its own
            traceback.print_exc()
            reason = f"The training job could not be looked after: {type(error).__name__}: {error}"
            return started, Outcome(None, Failure.INTERNAL, reason[:LIMIT])

    def _check(self, place: Place) -> None:
        """Raise Stopped when the call is to end before it began: a signal for it may have come too early."""
        if os.path.exists(place.workdir.tombstone):
            raise Stopped

    def _bring(self, task: Task, place: Place) -> None:
        """Fetch what the task names. Raises Refused."""
        if not task.training.channels and task.checkpoint_uri is None:
            return
        prepare.checkpoints_elsewhere(task, roomy=False)
        self._phase(Phase.DOWNLOADING)
        prepare.bring_checkpoints(task, place.workdir, self._files())
        inputs.bring_channels(task, place.workdir, self._files())
        self._phase(Phase.TRAINING)

    def _keep(self, task: Task, place: Place, outcome: Outcome) -> tuple[str, Outcome]:
        """Store what the function wrote; the model's URI ("" for a function that wrote none)."""
        workdir = place.workdir
        if is_empty(workdir.model) and is_empty(workdir.output_data) and task.checkpoint_uri is None:
            if task.training.channels:
                artifacts.clear(workdir, inputs_only=True)
            return "", outcome
        self._phase(Phase.UPLOADING)
        failed = outcome.failure is not None
        try:
            model = artifacts.store(task, workdir, self._files(), failed=True)
        except Refused as refused:
            return "", outcome if failed else Outcome(outcome.code, refused.failure, refused.reason)
        if task.training.output_path:
            artifacts.clear(workdir, inputs_only=failed)
        return model, outcome

    def _files(self) -> Objects:
        if self._objects is None:
            # Written by the controller that started this process, for this process alone.
            self._objects = pickle.loads(self._pickled)
        assert self._objects is not None
        return self._objects

    # ---- the controller ----

    def _phase(self, phase: Phase) -> None:
        self._say({"phase": phase, "at": now()})

    def _say(self, message: Mapping[str, Any]) -> None:
        self._control.sendall(json.dumps(message).encode() + b"\n")


def die_with(life: int) -> None:
    """End this process and its group when the other end of a pipe, which nothing is written to, is closed."""
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
        try:
            gone = os.read(life, 1) == b""
        except BlockingIOError:
            return
        if gone:
            os._exit(1)
    threading.Thread(target=_wait_for_end, args=(life,), name="tunewright-life", daemon=True).start()


def _wait_for_end(life: int) -> None:
    """Where the kernel does not do it (macOS) a thread waits for the pipe to break."""
    os.read(life, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main(control: int, life: int, home: str, objects: str, path: list[str]) -> None:
    """Be a worker; the arguments come from `worker_process`."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for handle in (control, life):
        os.set_inheritable(handle, False)
    die_with(life)
    sys.path[:0] = [each for each in path if each not in sys.path]
    with contextlib.suppress(ConnectionError):
        Worker(socket.socket(fileno=control), str(Path(home)), base64.b64decode(objects)).serve()
