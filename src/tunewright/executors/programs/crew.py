"""The programs of one training job, one for each host: waited for together, and ended together.

When one fails the others are told to end, with the same grace as for an order; the training job is over when all are
gone. Runs in a process that has blocked the signals in `WAITED` and takes them one by one (see `program`).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunewright.executors import processes
from tunewright.executors.clock import pause
from tunewright.executors.programs.program import ORDER, SWEEP_SECONDS, WAITED, Program


@dataclass(frozen=True, slots=True)
class Ended:
    """How the programs ended.

    Args:
        codes: their exit codes by place, negative for a signal.
        order: their places, in the order in which they ended.
        ordered: they were told to end before they ended.
        interrupted: nobody here told them to: the machine or a service manager is ending everything.
        culprit: the place of the first one that failed by itself, or None.
    """

    codes: tuple[int, ...]
    order: tuple[int, ...]
    ordered: bool
    interrupted: bool
    culprit: int | None

    @property
    def code(self) -> int:
        """The exit code that counts: the culprit's, else the first host's."""
        return self.codes[self.culprit or 0]


class Crew:
    """Started programs that belong together."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self._programs = list(programs)
        self._order: list[int] = []
        self._deadline: float | None = None
        self._ordered = self._interrupted = False
        self._culprit: int | None = None

    def wait(self, order: Callable[[], float | None], grace: float, helpers: Sequence[int] = ()) -> Ended:
        """Wait until all have ended, end them when told to or when one fails, and leave nothing of them behind.

        Args:
            order: asked at a signal: seconds until SIGKILL when somebody gave the order to end, else None.
            grace: the seconds when one failed, or when this process is being ended together with everything else.
            helpers: children of ours that the programs have no more use for once they have ended.
        """
        while not self._gone(order, grace):
            number = signal.sigwait(WAITED)
            if number == signal.SIGALRM:
                self._kill_when_due()
            elif number in (ORDER, signal.SIGTERM) and not self._gone(order, grace):
                seconds = order()
                if seconds is None and number == ORDER:
                    continue  # it was meant for this process's last programs
                self._ordered, self._interrupted = True, seconds is None
                self._end_within(grace if seconds is None else seconds)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for pid in helpers:
            processes.kill(pid)
        self._sweep()
        codes = tuple(program.code or 0 for program in self._programs)
        return Ended(codes, tuple(self._order), self._ordered, self._interrupted, self._culprit)

    def abandon(self) -> None:
        """End at once what was started, because the rest could not be."""
        for program in self._programs:
            program.kill()
            program.reap()
        self._sweep()

    # ---- ending ----

    def _end_within(self, seconds: float) -> None:
        """SIGTERM to all now, SIGKILL when the time is up; a second order can only shorten the time."""
        deadline = time.monotonic() + seconds
        if self._deadline is None or deadline < self._deadline:
            first, self._deadline = self._deadline is None, deadline
            for program in self._living():
                if seconds <= 0:
                    program.kill()
                elif first:
                    program.terminate(seconds)
            if seconds > 0:
                signal.setitimer(signal.ITIMER_REAL, seconds)

    def _kill_when_due(self) -> None:
        """SIGALRM: the time is up, unless it is the belated alarm of earlier programs."""
        if self._deadline is not None and time.monotonic() >= self._deadline - 0.001:
            for program in self._living():
                program.kill()

    def _living(self) -> list[Program]:
        return [program for program in self._programs if program.code is None]

    # ---- noticing ----

    def _gone(self, order: Callable[[], float | None], grace: float) -> bool:
        """Whether all have ended; those that have are waited for, and so is every orphan."""
        while (place := self._next()) is not None:
            program = self._programs[place]
            pending = signal.SIGTERM in signal.sigpending()
            code = program.reap()
            self._order.append(place)
            if pending and code == -signal.SIGTERM and not self._ordered and order() is None:
                self._ordered = self._interrupted = True
            if code != 0 and not self._ordered and self._culprit is None:
                self._culprit = place
        if self._culprit is not None and self._living() and self._deadline is None:
            self._end_within(grace)
        return not self._living()

    def _next(self) -> int | None:
        """The place of a program that has ended and was not yet waited for; its id is still its own."""
        places = {program.pid: place for place, program in enumerate(self._programs) if program.code is None}
        if sys.platform == "darwin":
            return next((place for pid, place in places.items() if processes.is_zombie(pid)), None)  # no waitid there
        else:
            while places:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None or found.si_pid in places:
                    return None if found is None else places[found.si_pid]
                os.waitpid(found.si_pid, 0)
            return None

    def _sweep(self) -> None:
        """End and reap every descendant that is left, also those that left their group."""
        until = time.monotonic() + SWEEP_SECONDS
        while time.monotonic() < until:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                if processes.LINUX or not self._groups_left():
                    return
                pid = 0
            if pid == 0:
                for child in processes.children_of(os.getpid()):
                    processes.kill(child)
                pause(0.002)

    def _groups_left(self) -> bool:
        return any([processes.kill_group(program.pid, signal.SIGKILL) for program in self._programs])
