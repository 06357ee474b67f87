"""A training program as its parent sees it: started in a group of its own, waited for, and ended with its group.

Runs in a process that has blocked the signals in `WAITED` and takes them one by one with `sigwait`, so that none
can come at a wrong moment: ORDER says that somebody left an order, SIGTERM that the whole machine is going down.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from tunewright.executors import processes
from tunewright.executors.clock import pause

ORDER = signal.SIGUSR1
WAITED = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM, ORDER})
SWEEP_SECONDS = 10.0
"""How long to wait for processes that do not even end at SIGKILL (stuck in the kernel)."""

_RESTORED = ("SIGPIPE", "SIGXFSZ", "SIGINT", "SIGQUIT", "SIGHUP", "SIGCHLD", "SIGALRM", "SIGUSR1")


def catch_signals() -> None:
    """Make sure that programs begin with every signal at its default.

    What a process ignores its programs ignore too, and Python ignores some signals. A signal that is caught
    is at its default again after exec; so all of them are caught here, by something that does nothing.
    """
    for name in _RESTORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _nothing)


def _nothing(number: int, frame: object) -> None:
    """A signal's handler that does nothing."""


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
        reading, writing = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _become(command, environment, directory, logs, parent, writing)
        os.close(writing)
        with contextlib.suppress(OSError):  # it may be done with that, or gone, already
            os.setpgid(self.pid, self.pid)
        self.identity = processes.identity(self.pid)
        with os.fdopen(reading, "rb") as pipe:
            trouble = pipe.read().decode("utf-8", "replace")
        if trouble:
            os.waitpid(self.pid, 0)
            number, _, text = trouble.partition(" ")
            raise OSError(int(number), text or os.strerror(int(number)))
        self._deadline: float | None = None

    def wait(self, order: Callable[[], float | None], grace: float) -> Ended:
        """Wait until the program has ended, end it when told to, and leave nothing of its group behind.

        Args:
            order: asked at a signal: seconds until SIGKILL when somebody gave the order to end, else None.
            grace: the seconds when this process is being ended together with everything else.
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


def _become(
    command: Sequence[str],
    environment: Mapping[str, str],
    directory: str,
    logs: tuple[int, int],
    parent: int,
    writing: int,
) -> NoReturn:
    """Turn this freshly forked process into the program; what goes wrong is written to `writing`."""
    try:
        os.setpgid(0, 0)
        processes.die_with_parent()
        if os.getppid() != parent:
            os._exit(127)
        null = os.open(os.devnull, os.O_RDONLY)
        for number, handle in enumerate((null, *logs)):
            os.dup2(handle, number, inheritable=True)
        os.chdir(directory)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve(command[0], list(command), environment)
    except OSError as error:
        os.write(writing, f"{error.errno or 0} {error.strerror or error}".encode())
    except BaseException as error:
        os.write(writing, f"0 {error}".encode())
    os._exit(127)
