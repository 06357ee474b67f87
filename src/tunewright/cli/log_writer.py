"""What a server says on standard error, told by a thread: nobody who answers requests waits for whoever reads it."""

from __future__ import annotations

import logging
import os
import queue
import select
import threading

WAITING_LINES = 4000
"""Lines that wait for a slow reader; what comes on top of them is dropped and counted."""
FAREWELL_SECONDS = 1.0
"""How long the last lines may take when the server ends."""


class LogWriter:
    """Writes lines to a file descriptor in a thread of its own; `say` never waits.

    Args:
        handle: an open file descriptor, such as standard error's; a copy of it is written to.
        waiting: lines that may wait.
    """

    def __init__(self, handle: int, waiting: int = WAITING_LINES) -> None:
        self._handle = os.dup(handle)
        self._lines: queue.Queue[str | None] = queue.Queue(waiting)
        self._lock = threading.Lock()
        self._dropped = self._owed = 0
        # A daemon: one that waits for a reader who never comes must not keep the process.
        self._thread = threading.Thread(target=self._work, name="tunewright-logs", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that nobody will read."""
        return self._dropped

    def say(self, line: str) -> None:
        """Have a line written, or drop it when too many wait."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._drop()

    def close(self) -> None:
        """Write what waits, as far as it is read in time."""
        try:
            self._lines.put(None, timeout=FAREWELL_SECONDS)
        except queue.Full:
            return
        self._thread.join(FAREWELL_SECONDS)

    def _drop(self) -> None:
        with self._lock:
            self._dropped += 1
            self._owed += 1

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write(line)
                self._tell_of_dropped()
            except OSError:
                # The reader is gone, or the disk is full: that must not end what is logged.
                self._drop()
        os.close(self._handle)

    def _tell_of_dropped(self) -> None:
        with self._lock:
            owed, self._owed = self._owed, 0
        if owed:
            self._write(f"tunewright: {owed} log lines were dropped because standard error was not read fast enough")

    def _write(self, line: str) -> None:
        left = memoryview(f"{line}\n".encode("utf-8", "backslashreplace"))
        while left:
            try:
                left = left[os.write(self._handle, left) :]
            except BlockingIOError:
                # Somebody else made the descriptor they share with us one that does not wait.
                select.select((), (self._handle,), ())


class LogHandler(logging.Handler):
    """Log records as lines of a `LogWriter`."""

    def __init__(self, writer: LogWriter, form: str = "%(message)s") -> None:
        super().__init__()
        self._writer = writer
        self.setFormatter(logging.Formatter(form))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.say(self.format(record))
        # Broad, as in logging's own handlers: a line that cannot be written must not end the program that says it.
        except Exception:
            self.handleError(record)
