"""A training program as its parent sees it: started in a group of its own, waited for, and ended with its group.

Runs in a process that has blocked the signals in `WAITED` and takes them one by one with `sigwait`, so that none
can come at a wrong moment: ORDER says that somebody left an order, SIGTERM that the whole machine is going down.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tunewright.executors import processes
from tunewright.executors.clock import pause

ORDER = signal.SIGUSR1
WAITED = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM, ORDER})
SWEEP_SECONDS = 10.0
"""How long to wait for processes that do not even end at SIGKILL (stuck in the kernel)."""

_DEFAULTS = frozenset({signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM})
"""What a process ignores its programs ignore too, and Python ignores some signals; programs begin without that."""

_SETPRIV_FAILED = "setpriv: failed to execute "


@cache
def guard() -> tuple[str, ...]:
    """What to put before a command so that the kernel kills the program when its parent is gone; maybe nothing.

    Only a process itself can ask for that. A spawned one costs far less than a forked one but runs nothing of
    ours, so the asking is left to util-linux's setpriv where it is there and can do it.
    """
    program = shutil.which("setpriv") if sys.platform == "linux" else None
    if program is None:
        return ()
    words = (program, "--pdeathsig", "KILL", "--")
    try:
        null = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in (1, 2)]
        pid = os.posix_spawn(program, [*words, "true"], os.environ, file_actions=actions)
        os.close(null)
    except OSError:
        return ()
    return words if os.waitpid(pid, 0)[1] == 0 else ()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Args:
        code: its exit code, negative for a signal.
        ordered: it was told to end before it ended.
        interrupted: nobody here told it to: the machine or a service manager is ending everything.
    """

    code: int
    ordered: bool
    interrupted: bool


class Program:
    """A started program, the leader of its process group."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], directory: str, logs: tuple[int, int]):
        """Start it.

        Args:
            command: path of the executable and its arguments.
            logs: descriptors that become its standard output and standard error.

        Raises:
            OSError: it cannot be executed.
        """
        os.chdir(directory)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        actions = [(os.POSIX_SPAWN_DUP2, handle, number) for number, handle in enumerate((null, *logs))]
        words = [*guard(), *command]
        try:
            self.pid = os.posix_spawn(
                words[0],
                words,
                environment,
                file_actions=actions,
                setpgroup=0,
                setsigmask=(),
                setsigdef=_DEFAULTS,
            )
        except ValueError as error:  # a NUL character
            raise OSError(errno.EINVAL, str(error)) from error
        finally:
            os.close(null)
        self.identity = processes.identity(self.pid)
        self._deadline: float | None = None

    @staticmethod
    def refusal(code: int, log: str) -> str:
        """Why the guard could not start the command, or "" when it did: its exit code and log tell."""
        lines = log.strip().splitlines() if code in (126, 127) else []
        return lines[0].removeprefix(_SETPRIV_FAILED) if lines and lines[0].startswith(_SETPRIV_FAILED) else ""

    def wait(self, order: Callable[[], float | None], grace: float, helpers: Sequence[int] = ()) -> Ended:
        """Wait until the program has ended, end it when told to, and leave nothing of its group behind.

        Args:
            order: asked at a signal: seconds until SIGKILL when somebody gave the order to end, else None.
            grace: the seconds when this process is being ended together with everything else.
            helpers: children of ours that the program has no more use for once it has ended.
        """
        ordered = interrupted = False
        while not self._gone():
            number = signal.sigwait(WAITED)
            if number == signal.SIGALRM:
                self._kill_when_due()
            elif number in (ORDER, signal.SIGTERM) and not self._gone():
                seconds = order()
                if seconds is None and number == ORDER:
                    continue  # it was meant for this process's last program
                ordered, interrupted = True, seconds is None
                self._end_within(grace if seconds is None else seconds)
        signal.setitimer(signal.ITIMER_REAL, 0)
        pending = signal.SIGTERM in signal.sigpending()
        processes.kill_group(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        for pid in helpers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._sweep()
        if pending and code == -signal.SIGTERM and order() is None:
            ordered = interrupted = True
        return Ended(code, ordered, interrupted)

    def _end_within(self, seconds: float) -> None:
        """SIGTERM to the group now, SIGKILL when the time is up; a second order can only shorten the time."""
        deadline = time.monotonic() + seconds
        if self._deadline is None or deadline < self._deadline:
            first, self._deadline = self._deadline is None, deadline
            if first and seconds > 0:
                processes.kill_group(self.pid, signal.SIGTERM)
            if seconds > 0:
                signal.setitimer(signal.ITIMER_REAL, seconds)
            else:
                processes.kill_group(self.pid, signal.SIGKILL)

    def _kill_when_due(self) -> None:
        """SIGALRM: the time is up, unless it is the belated alarm of an earlier program."""
        if self._deadline is not None and time.monotonic() >= self._deadline - 0.001:
            processes.kill_group(self.pid, signal.SIGKILL)

    def _gone(self) -> bool:
        """Whether the program has ended (it stays a zombie, so that its id remains its own); orphans are reaped."""
        if sys.platform == "darwin":
            return processes.is_zombie(self.pid)  # no waitid there
        else:
            while True:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None:
                    return False
                if found.si_pid == self.pid:
                    return True
                os.waitpid(found.si_pid, 0)

    def _sweep(self) -> None:
        """End and reap every descendant that is left, also those that left the group."""
        until = time.monotonic() + SWEEP_SECONDS
        while time.monotonic() < until:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                if processes.LINUX or not processes.kill_group(self.pid, signal.SIGKILL):
                    return
                pid = 0
            if pid == 0:
                for child in processes.children_of(os.getpid()):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                pause(0.002)
