"""A loop in a thread of its own: started on demand, stopped with its process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tunewright.control.loop import Loop

_LOG = logging.getLogger("tunewright")

STUMBLE_SECONDS = 1.0
"""How long after a round that went wrong the next one is tried."""


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
        # Broad: each store has its own errors (a full disk, a lost connection), and without this thread no job goes on.
        except Exception as error:
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
        """Whether the loop runs and holds any job."""
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
