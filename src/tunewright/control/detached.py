"""A detached controller: a process of its own that runs the jobs which others leave behind."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

_LOG = logging.getLogger("tunewright")

PATIENCE_SECONDS = 2.0
"""How long a job is left alone before a detached controller is called for it: somebody may be about to take it."""
MOST_KILLED = 3
"""A detached controller that was killed so many times, be it by a fault of its own, is not called again."""
CONTROLLER_LOG = "controller.log"


class DetachedController:
    """Another process, for jobs that this one had better not run: called when nobody else takes them.

    Used by one thread at a time.

    Args:
        home: where the controller is started.
        environment: the variables that it is given.
    """

    def __init__(self, home: Path, environment: Callable[[], dict[str, str]]) -> None:
        self._home, self._environment = home, environment
        self._seen: dict[str, float] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = 0
        self._useless = ""

    def sees_to(self, uid: str, now: float) -> bool:
        """Whether a job that nobody runs now is going to be run by another controller.

        Not at once, for whoever made the job may be about to take it. A controller that cannot start is not called
        again.
        """
        if now - self._seen.setdefault(uid, now) < PATIENCE_SECONDS:
            return True
        if not self._useless and (self._process is None or self._process.poll() is not None):
            self._call()
        return not self._useless

    def _call(self) -> None:
        # One that was killed, or ended for it had nothing to do, is replaced; one that failed would fail again.
        code = 0 if self._process is None else self._process.returncode
        self._killed += code < 0
        log = self._home / CONTROLLER_LOG
        try:
            if code > 0:
                self._useless = f"it exited with code {code}, see {log}"
            elif self._killed == MOST_KILLED:
                self._useless = f"it was ended by signal {-code} the last of {MOST_KILLED} times, see {log}"
            else:
                self._process = _start_controller(self._home, self._environment())
        except OSError as error:
            self._useless = str(error)
        if self._useless:
            text = "no detached controller can be started (%s); jobs with functions that nobody runs are run here"
            _LOG.warning(text, self._useless)

    def let_go(self) -> None:
        """Forget the controller, which goes on."""
        with _letting_go():
            self._process = None


def spawn_controller(home: Path, environment: dict[str, str]) -> None:
    """Start a detached controller for the jobs in a store.

    It outlives this process, takes over every job that nobody runs, and ends after a minute without work.
    """
    process = _start_controller(home, environment)
    with _letting_go():
        del process


def _start_controller(home: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / CONTROLLER_LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tunewright.assembly"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=home,
            start_new_session=True,
        )


@contextlib.contextmanager
def _letting_go() -> Iterator[None]:
    """Python warns of a child that is let go while it runs; these are meant to be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
