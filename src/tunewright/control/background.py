"""A loop in a thread of its own: started on demand, stopped with its process, detached when work is left."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from tunewright.control.loop import Loop

_LOG = logging.getLogger("tunewright")

STUMBLE_SECONDS = 1.0
PATIENCE_SECONDS = 2.0
"""How long a job is left alone before a detached controller is called for it: somebody may be about to take it."""
MOST_KILLED = 3
"""A detached controller that was killed so many times, be it by a fault of its own, is not called again."""
CONTROLLER_LOG = "controller.log"


class Rounds:
    """A loop's rounds. What goes wrong with one is told once, and the next is tried a little later.

    Args:
        pause: waits for so many seconds, or until the loop is to end.
    """

    def __init__(self, loop: Loop, pause: Callable[[float], object]) -> None:
        self._loop, self._pause = loop, pause
        self._trouble = ""

    def tick(self) -> None:
        """One round. Raises nothing."""
        try:
            self._loop.tick()
        except Exception as error:  # the store may be out of reach for a while (a full disk, a lost connection)
            if str(error) != self._trouble:
                self._trouble = str(error)
                _LOG.exception(
                    "the loop could not go round; it tries again every second, and nothing is lost meanwhile"
                )
            self._pause(STUMBLE_SECONDS)
        else:
            if self._trouble:
                self._trouble = ""
                _LOG.warning("the loop goes round again")


class Background:
    """Runs one loop. Safe to call from any thread."""

    def __init__(self, make: Callable[[], Loop]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: Loop | None = None
        self._stopping = threading.Event()
        """Set when the thread that runs now is to end; each has its own."""
        self._moved = threading.Condition()
        self._versions: list[int] = []

    def start(self) -> None:
        """Make sure that the loop runs."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._loop, self._stopping = self._make(), threading.Event()
                given = self._loop, self._stopping
                run = threading.Thread(target=self._run, args=given, name="tunewright-loop", daemon=True)
                self._thread = run
                run.start()

    def stop(self) -> bool:
        """End the loop and give its leases back; whether it ran. Training programs go on."""
        with self._lock:
            thread, loop, stopping = self._thread, self._loop, self._stopping
            self._thread = self._loop = None
        if thread is None or loop is None:
            return False
        stopping.set()
        loop.wake()
        thread.join()
        return True

    def wake(self) -> None:
        """Let the loop look at the store now."""
        loop = self._loop
        if loop is not None:
            loop.wake()

    def hurry(self, uid: str) -> None:
        """Give a job's trials that are being stopped no more time."""
        loop = self._loop
        if loop is not None:
            loop.hurry(uid)

    def busy(self) -> bool:
        loop = self._loop
        return loop is not None and loop.busy()

    def version(self, uid: str) -> int | None:
        """The version of a job that this loop runs, or None when it does not run it."""
        loop = self._loop
        held = loop.held.get(uid) if loop is not None else None
        return None if held is None else held.stored.version

    def moved(self, uid: str, known: int, timeout: float) -> None:
        """Wait until this loop has a job in another version than `known`, at most `timeout` seconds."""
        with self._moved:
            self._moved.wait_for(lambda: self.version(uid) not in (known, None), timeout)

    def _run(self, loop: Loop, stopping: threading.Event) -> None:
        rounds = Rounds(loop, stopping.wait)
        try:
            while not stopping.is_set():
                rounds.tick()
                self._notify(loop)
                loop.wait()
        finally:
            try:
                loop.close()
            finally:
                loop.executor.close()

    def _notify(self, loop: Loop) -> None:
        versions = [held.stored.version for held in loop.held.values()]
        if versions != self._versions:
            self._versions = versions
            with self._moved:
                self._moved.notify_all()


class Deputy:
    """A detached controller for jobs that this process had better not run: called when nobody else takes them.

    Used by one thread at a time.

    Args:
        home: where the controller is started.
        environment: what it is given.
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
