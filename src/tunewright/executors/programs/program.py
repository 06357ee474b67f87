"""A training program as its parent sees it: started in a group of its own, and ended with its group.

Runs in a process that has blocked the signals in `WAITED` and takes them one by one with `sigwait`, so that none
can come at a wrong moment: ORDER says that somebody left an order, SIGTERM that the whole machine is going down.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cache

from tunewright.executors import processes

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
        self.code: int | None = None

    @staticmethod
    def refusal(code: int, log: str) -> str:
        """Why the guard could not start the command, or "" when it did: its exit code and log tell."""
        lines = log.strip().splitlines() if code in (126, 127) else []
        return lines[0].removeprefix(_SETPRIV_FAILED) if lines and lines[0].startswith(_SETPRIV_FAILED) else ""

    def terminate(self, seconds: float) -> None:
        """Tell it to end; whoever waits for it calls `kill` after so many seconds."""
        processes.kill_group(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it and its group at once."""
        processes.kill_group(self.pid, signal.SIGKILL)

    def reap(self) -> int:
        """Wait for it once it has ended, and end what is left of its group; the exit code, negative for a signal."""
        processes.kill_group(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        return self.code
