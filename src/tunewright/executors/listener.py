"""One thread that waits for descriptors on behalf of an executor."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import traceback
from collections.abc import Callable

TICK = 0.05
"""Seconds between two looks at what can only be looked at."""


class Listener:
    """Calls back, in its own thread, when descriptors become readable; and every TICK while asked to.

    The thread starts with the first wish and never keeps the process alive.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._selector.register(self._reading, selectors.EVENT_READ)
        self._guard = threading.Lock()
        self._wishes: list[Callable[[], object]] = []
        self._looks: list[Callable[[], bool]] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, handle: int, callback: Callable[[], bool]) -> None:
        """Call back whenever a descriptor is readable, until the callback answers False; then it is closed."""
        self._add(lambda: self._selector.register(handle, selectors.EVENT_READ, callback))

    def look(self, callback: Callable[[], bool]) -> None:
        """Call back every TICK until the callback answers False."""
        self._add(lambda: self._looks.append(callback))

    def _add(self, wish: Callable[[], object]) -> None:
        with self._guard:
            if self._closed:
                return
            self._wishes.append(wish)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tunewright-listener", daemon=True)
                self._thread.start()
        self._nudge()

    def _nudge(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._writing, b"!")

    def _run(self) -> None:
        while True:
            with self._guard:
                if self._closed:
                    return
                wishes, self._wishes = self._wishes, []
            for wish in wishes:
                _granted(wish)
            for key, _ in self._selector.select(TICK if self._looks else None):
                if key.fd == self._reading:
                    os.read(self._reading, 4096)
                elif not _safely(key.data):
                    self._selector.unregister(key.fd)
                    os.close(key.fd)
            self._looks = [look for look in self._looks if _safely(look)]

    def close(self) -> None:
        """Stop the thread and close every descriptor that is still watched."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
        self._nudge()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        for key in list(self._selector.get_map().values()):
            with contextlib.suppress(OSError):
                os.close(key.fd)
        self._selector.close()
        os.close(self._writing)


def _granted(wish: Callable[[], object]) -> None:
    try:
        wish()
    except Exception:  # of one, such as a descriptor that cannot be watched; the others go on
        traceback.print_exc()


def _safely(callback: Callable[[], bool]) -> bool:
    """The callback's answer; one that fails is shown and asked again, for the others must go on."""
    try:
        return callback()
    except Exception:  # whatever a callback raises is shown, and the others go on
        traceback.print_exc()
        return True
