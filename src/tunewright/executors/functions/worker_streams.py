"""A function's standard streams and surroundings: its own for each call, as if each had a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import TextIO


class Streams:
    """Standard output and standard error of this process, pointed at a call's logs while it lasts.

    Descriptors 1 and 2 themselves are moved, so that what compiled code, child processes and loggers that keep
    `sys.stderr` write goes the same way.
    """

    def __init__(self) -> None:
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(self._null, 0)
        self._texts = (_text(1), _text(2))
        self._flush = _c_flush()

    @contextlib.contextmanager
    def into(self, logs: tuple[int, int]) -> Iterator[None]:
        """Write to these descriptors within the context, and to nothing outside it."""
        self._point(logs)
        try:
            yield
        finally:
            self.flush()
            self._point((self._null, self._null))

    def flush(self) -> None:
        """Bring everything that Python and C hold back into the logs."""
        for stream in (sys.stdout, sys.stderr, *self._texts):
            with contextlib.suppress(Exception):  # a stream of the user's own may do anything
                stream.flush()
        if callable(self._flush):
            self._flush(None)

    def _point(self, handles: tuple[int, int]) -> None:
        for number, handle in zip((1, 2), handles, strict=True):
            os.dup2(handle, number)
        if any(stream.closed for stream in self._texts):
            self._texts = (_text(1), _text(2))
        sys.stdout, sys.stderr = self._texts


def _text(number: int) -> TextIO:
    """A stream on a descriptor that holds back at most a line; closing it leaves the descriptor open."""
    return open(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _c_flush() -> object:
    """C's own `fflush`: what compiled code printed must not appear in the next call's log."""
    try:
        import ctypes  # missing from some builds of Python

        return ctypes.CDLL(None).fflush
    except (ImportError, OSError, AttributeError, TypeError):
        return None


class Surroundings:
    """What a call may change in its process and the next one must not see: variables, the current directory, the search
    path, signal handlers (that of SIGTERM is the worker's), what new files may be, how deep calls may go.
    """

    def __init__(self) -> None:
        self.variables: Mapping[str, str] = dict(os.environ)
        try:
            self._directory = os.getcwd()
        except FileNotFoundError:  # it was removed under the controller
            self._directory = os.path.expanduser("~")
        self._path = list(sys.path)
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._depth = sys.getrecursionlimit()
        handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self._handlers = {number: handler for number, handler in handlers.items() if handler is not None}

    def enter(self, variables: Mapping[str, str]) -> None:
        """Make these the environment, and everything else what it was when the worker started."""
        for name in [name for name in os.environ if name not in variables]:
            del os.environ[name]
        for name, value in variables.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        sys.path[:] = self._path
        with contextlib.suppress(OSError):  # the directory may be gone
            os.chdir(self._directory)
        os.umask(self._umask)
        sys.setrecursionlimit(self._depth)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._handlers.items():
            if number != signal.SIGTERM and signal.getsignal(number) != handler:
                signal.signal(number, handler)
