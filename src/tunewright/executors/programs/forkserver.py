"""The fork server: one small process that has shims at hand, so that no training job pays for a fresh interpreter.

It is started once by a controller and ends with it. Shims are forked from it and used again for one training job
after the other, which saves most of what a fork costs; one that is at work when the fork server ends finishes
its job and ends then. One thread, no locks. A request on the control socket is a line `<attempt> <name>`, then
the assignment, and beside it the descriptors of the task's slots; all of it is handed to a shim, and the answer
is that shim's process id, or a negative errno. A shim that ends in the midst of a job is reported on the pipe on
which shims report too; its children become the fork server's, where the kernel can do that, and are ended.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from tunewright.core.ports import Objects
from tunewright.executors import processes, rooms, wire
from tunewright.executors.clock import pause
from tunewright.executors.programs import shim
from tunewright.executors.programs.program import WAITED, guard
from tunewright.executors.runtime import Runtime

LOOK_MILLISECONDS = 10_000
SPARE = 32
"""Idle shims beyond so many are let go."""
SWEEP_SECONDS = 2.0
"""How long orphans are waited for; what a hanging device holds does not end at all."""


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


@dataclass(slots=True)
class _Hand:
    """A shim as its parent sees it.

    Args:
        job: `<attempt> <name>` of what it is, or was last, at work on.
    """

    pid: int
    line: socket.socket
    job: str = ""


class ForkServer:
    """Serves one controller until it is gone."""

    def __init__(self, home: Path, objects: Objects, runtime: Runtime, lines: Lines) -> None:
        self._surroundings = shim.Surroundings(str(home), objects, dict(os.environ), lines.report, runtime)
        self._lines = lines
        self._control = socket.socket(fileno=lines.control)
        self._hands: dict[int, _Hand] = {}
        self._idle: list[_Hand] = []
        self._lasting: set[int] = set()
        self._parent = os.getppid()
        self._poll = select.poll()
        self._wakeup = os.pipe()
        for handle in (lines.control, lines.report, lines.life):
            os.set_inheritable(handle, False)

    def serve(self) -> None:
        """Answer requests and reap shims; returns when the controller is gone."""
        os.set_blocking(self._wakeup[1], False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        processes.adopt_orphans()  # what a shim that is killed leaves behind
        guard()  # found out once, for all shims, as is the next
        runtime = self._surroundings.runtime
        if runtime.opt_ml == "auto" and rooms.obstacle():
            self._surroundings = replace(self._surroundings, runtime=replace(runtime, opt_ml="rewrite"))
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._wakeup[0], select.POLLIN)
        while os.getppid() == self._parent:
            ready = {handle for handle, _ in self._poll.poll(LOOK_MILLISECONDS)}
            if self._wakeup[0] in ready:
                os.read(self._wakeup[0], 4096)
                self._reap()
            for hand in [hand for hand in self._hands.values() if hand.line.fileno() in ready]:
                self._done(hand)
            if self._control.fileno() in ready and not self._answer():
                return

    def _answer(self) -> bool:
        """Serve one request; False when the controller is gone."""
        request = wire.receive(self._control)
        if request is None:
            return False
        message, slots = request
        try:
            answer = self._assign(message, slots)
        except OSError as error:
            answer = -(error.errno or 1)
        for handle in slots:
            os.close(handle)
        try:
            wire.send(self._control, str(answer).encode())
        except OSError:
            return False
        return True

    def _assign(self, message: bytes, slots: list[int]) -> int:
        """Hand a job to an idle shim, or to a new one; its process id. Raises OSError when none can be forked."""
        job, _, assignment = message.partition(b"\n")
        while True:
            hand = self._idle.pop() if self._idle else self._fork(slots)
            try:
                wire.send(hand.line, assignment, slots)
            except OSError:
                continue  # it was killed while it was idle, and will be reaped
            hand.job = job.decode()
            return hand.pid

    def _done(self, hand: _Hand) -> None:
        """A shim says that it is idle again, or is gone (then it is reaped in a moment)."""
        with contextlib.suppress(OSError):
            if hand.line.recv(1) and len(self._idle) < SPARE:
                self._idle.append(hand)
                return
        self._release(hand)

    def _release(self, hand: _Hand) -> None:
        """Close the line to a shim: it ends when it is idle."""
        with contextlib.suppress(KeyError, ValueError):
            self._poll.unregister(hand.line)
        hand.line.close()

    # ---- processes ----

    def _fork(self, slots: list[int]) -> _Hand:
        """A new shim. It must not keep what this process holds for the moment: the slots come to it by message."""
        ours, theirs = socket.socketpair()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
        try:
            pid = os.fork()
            if pid == 0:
                self._become_shim(ours, theirs, slots)
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        hand = self._hands[pid] = _Hand(pid, ours)
        self._poll.register(ours, select.POLLIN)
        return hand

    def _become_shim(self, ours: socket.socket, theirs: socket.socket, slots: list[int]) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            # A line that another shim holds open as well would never break.
            for line in (ours, *(hand.line for hand in self._hands.values())):
                line.close()
            for handle in (*slots, *self._wakeup, self._lines.control, self._lines.life):
                os.close(handle)
            shim.serve(theirs, self._surroundings)
        finally:
            os._exit(1)

    def _reap(self) -> None:
        gone: list[str] = []
        ended = False
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                ended = True
                hand = self._hands.pop(pid, None)
                if hand is None:
                    self._lasting.discard(pid)  # an orphan
                    continue
                self._release(hand)
                if hand in self._idle:
                    self._idle.remove(hand)
                if hand.job:  # also when it was idle: it may have died before it could tell the controller
                    gone.append(hand.job)
        if ended:
            self._sweep()
        for job in gone:
            with contextlib.suppress(OSError):
                os.write(self._lines.report, f"gone {job}\n".encode())

    def _sweep(self) -> None:
        """End the children that no shim has any more, and theirs, which come to us then; wait until they are gone."""
        until = time.monotonic() + SWEEP_SECONDS
        while orphans := set(processes.children_of(os.getpid())) - set(self._hands) - self._lasting:
            for pid in orphans:
                processes.kill(pid)
            if time.monotonic() > until:
                self._lasting |= orphans
                return
            pause(0.002)
