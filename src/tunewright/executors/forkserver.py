"""The fork server: one small process that forks a shim for each training job.

So no training job pays for a fresh interpreter of ours. The fork server is started once by a controller and ends
with it; shims go on alone. One thread, no locks. Requests come on a stream socket: a length, JSON, and with the
first byte the descriptors of the task's slots; the answer is the shim's process id, or a negative errno. A shim
that ended without having said so itself is reported on the pipe on which shims report too.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tunewright.core.ports import Objects
from tunewright.executors import shim
from tunewright.executors.codec import task_from_json
from tunewright.executors.program import WAITED, catch_signals
from tunewright.executors.workdir import Workdir

LENGTH = struct.Struct("!I")
ANSWER = struct.Struct("!q")
MAX_DESCRIPTORS = 250
LOOK_MILLISECONDS = 10_000


@dataclass(frozen=True, slots=True)
class Lines:
    """Descriptors that connect the fork server with its controller.

    Args:
        control: the request socket.
        report: writing end of the report pipe, shared with every shim.
        life: writing end of a pipe that nothing is ever written to: it breaks when this process ends.
    """

    control: int
    report: int
    life: int


class ForkServer:
    """Serves one controller until it is gone."""

    def __init__(self, home: Path, objects: Objects, lines: Lines) -> None:
        self._home = str(home)
        self._objects = objects
        self._lines = lines
        self._control = socket.socket(fileno=lines.control)
        self._children: dict[int, tuple[str, int]] = {}
        self._parent = os.getppid()
        self._environment = dict(os.environ)
        for handle in (lines.control, lines.report, lines.life):
            os.set_inheritable(handle, False)

    def serve(self) -> None:
        """Answer requests and reap shims; returns when the controller is gone."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        self._wakeup = (reading, writing)
        catch_signals()
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()
        gc.disable()
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(reading, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll(LOOK_MILLISECONDS)}
            if reading in ready:
                os.read(reading, 4096)
                self._reap()
            if self._control.fileno() in ready and not self._answer():
                return
            if os.getppid() != self._parent:
                return

    def _answer(self) -> bool:
        """Serve one request; False when the controller is gone."""
        try:
            head, slots, _, _ = socket.recv_fds(self._control, 1 << 16, MAX_DESCRIPTORS)
            if not head:
                return False
            data = bytearray(head)
            while len(data) < LENGTH.size or len(data) < LENGTH.size + LENGTH.unpack_from(data)[0]:
                more = self._control.recv(1 << 20)
                if not more:
                    return False
                data += more
        except OSError:
            return False
        for handle in slots:
            os.set_inheritable(handle, False)
        try:
            answer = self._fork(bytes(data[LENGTH.size :]), slots)
        except OSError as error:
            answer = -(error.errno or 1)
        for handle in slots:
            os.close(handle)
        try:
            self._control.sendall(ANSWER.pack(answer))
        except OSError:
            return False
        return True

    def _fork(self, request: bytes, slots: list[int]) -> int:
        message = json.loads(request)
        name, attempt = message["task"]["name"], message["task"]["attempt"]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
        pid = os.fork()
        if pid == 0:
            self._become_shim(message, slots)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._children[pid] = (name, attempt)
        return pid

    def _become_shim(self, message: dict[str, object], slots: list[int]) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            for handle in (*self._wakeup, self._lines.control, self._lines.life):
                os.close(handle)
            shim.run(self._assignment(message, slots), self._objects)
        finally:
            os._exit(1)

    def _assignment(self, message: dict[str, object], slots: list[int]) -> shim.Assignment:
        values, changes, devices = message["task"], message["environment"], message["devices"]
        assert isinstance(values, dict) and isinstance(changes, dict)
        assert devices is None or isinstance(devices, list)
        task = task_from_json(values)
        workdir = Workdir.of(self._home, task.name, task.attempt)
        return shim.Assignment(task, workdir, slots, devices, self._changed(changes), self._lines.report)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name, attempt = self._children.pop(pid, ("", 0))
            if status != 0 and name:
                with contextlib.suppress(OSError):
                    os.write(self._lines.report, f"gone {attempt} {name}\n".encode())

    def _changed(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        """This process's environment with the controller's changes since it started this process."""
        environment = dict(self._environment)
        for name, value in changes.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        return environment
