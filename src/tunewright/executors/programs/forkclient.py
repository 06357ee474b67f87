"""The controller's end of the fork server: starting it when first needed, and asking it for shims."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tunewright.core.ports import Task
from tunewright.executors import wire
from tunewright.executors.codec import task_to_json
from tunewright.executors.runtime import Runtime
from tunewright.executors.slots import Held

MODULE = "tunewright.hands"
LOG = "hands.log"
ANSWER_SECONDS = 60.0


class NoForkServer(Exception):
    """The fork server ended, or could not be started; whether it forked a shim before is not known."""


class ForkClient:
    """Starts shims. Safe to use from any thread.

    Args:
        home: Tunewright's home; `hands.log` in it takes what goes wrong in the fork server itself.
        objects: the object directory.
        report: writing end of the pipe on which shims report.
        died: called with a descriptor that becomes readable when a fork server that was started is gone.
        runtime: how programs are run.
    """

    def __init__(self, home: Path, objects: str, report: int, died: Callable[[int], None], runtime: Runtime) -> None:
        self._home = home
        self._runtime = runtime
        self._objects = objects
        self._report = report
        self._died = died
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._environment: dict[str, str] = {}

    @property
    def pid(self) -> int | None:
        """The fork server's process id while one is running."""
        return None if self._process is None else self._process.pid

    def _start(self) -> socket.socket:
        """The line to the fork server, which is started if there is none, and not waited for. Raises OSError."""
        if self._control is not None:
            return self._control
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        self._environment = dict(os.environ)
        lines = [theirs.fileno(), self._report, writing]
        places = [str(self._home), self._objects, self._runtime.text()]
        command = [sys.executable, "-P", "-m", MODULE, *places, *map(str, lines)]
        try:
            with open(self._home / LOG, "ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=lines,
                    start_new_session=True,
                    cwd=self._home,
                )
        except OSError:
            ours.close()
            os.close(reading)
            raise
        finally:
            theirs.close()
            os.close(writing)
        ours.settimeout(ANSWER_SECONDS)
        self._control = ours
        self._died(reading)
        return ours

    def launch(self, task: Task, held: Held, devices: tuple[str, ...] | None) -> int | None:
        """Have a shim forked that holds the slots; its process id, or None when the system has no room for one.

        Raises:
            NoForkServer: it is unknown whether a shim was forked.
        """
        message: dict[str, object] = {"task": task_to_json(task), "devices": devices}
        with self._guard:
            try:
                control = self._start()
                message["environment"] = self._changes()
                head = f"{task.attempt} {task.name}\n"
                wire.send(control, (head + json.dumps(message)).encode(), held.fds)
                received = wire.receive(control)
                if received is None:
                    raise ConnectionResetError("the fork server has ended, or does not answer")
            except OSError as error:
                self._drop()
                raise NoForkServer(self._explain(str(error))) from error
        answer = int(received[0])
        if answer < 0 and -answer not in (errno.EAGAIN, errno.ENOMEM):
            raise NoForkServer(f"a process could not be forked: {os.strerror(-answer)}")
        return answer if answer > 0 else None

    def _changes(self) -> dict[str, str | None]:
        """What changed in this process's environment since the fork server was started."""
        now = dict(os.environ)
        if now == self._environment:
            return {}
        changes: dict[str, str | None] = {n: v for n, v in now.items() if self._environment.get(n) != v}
        changes.update({name: None for name in self._environment if name not in now})
        return changes

    def _explain(self, error: str) -> str:
        """The error with the end of the fork server's log."""
        try:
            lines = (self._home / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"{error}. {lines[-1]}" if lines else error

    def gone(self) -> None:
        """The fork server was seen to end; the next launch starts another."""
        with self._guard:
            self._drop()

    def _drop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def close(self) -> None:
        """Let the fork server end; shims and their programs go on."""
        with self._guard, contextlib.suppress(OSError):
            self._drop()
