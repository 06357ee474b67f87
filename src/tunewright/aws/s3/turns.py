"""Whose turn it is to change what lies on the disk: several servers may share one root."""

from __future__ import annotations

import contextlib
import fcntl
import threading
from collections.abc import Iterator


class Turns:
    """One change at a time, among the threads of this process and the servers that share the objects.

    Args:
        path: a file whose `flock` says whose turn it is; it goes with the process.
    """

    def __init__(self, path: str) -> None:
        self._path, self._lock = path, threading.Lock()

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """Wait for a turn, and hold it."""
        with self._lock, open(self._path, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
