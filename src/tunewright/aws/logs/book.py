"""What training programs wrote, as events in an order that only ever grows at its end.

A program writes two files without times. A log stream of CloudWatch is one list of events with times that stay as
they were, and clients count on it: SDK v2 asks again for all events since the last time it saw and skips as many as
it knows. So a book remembers, per look, which bytes of which file came next, and when.
"""

from __future__ import annotations

import os
import stat
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

KEPT_BOOKS = 256
MAX_EVENT = 262_144
MAX_SEGMENT = 4 << 20


@dataclass(frozen=True, slots=True)
class Event:
    """A line of a log; `at` is in milliseconds since the epoch."""

    index: int
    at: int
    message: str


@dataclass(frozen=True, slots=True)
class _Segment:
    """Whole lines of one file that were new at one look."""

    path: Path
    start: int
    end: int
    first: int
    lines: int
    at: int


class Book:
    """The events of one host of a training job, over all its attempts.

    Args:
        paths: where the streams of an attempt lie.
    """

    def __init__(self, paths: Callable[[int], Sequence[Path]]) -> None:
        self._paths, self._attempt = paths, 1
        self._offsets: dict[Path, int] = {}
        self._segments: list[_Segment] = []
        self._lock = threading.Lock()
        self.length = 0

    def look(self, attempt: int, now: float, *, ended: bool) -> None:
        """Add what is new up to an attempt. An unfinished last line counts once its program has ended."""
        with self._lock:
            for number in range(self._attempt, attempt + 1):
                for path in self._paths(number):
                    while self._extend(path, now, ended or number < attempt):
                        pass
            self._attempt = max(self._attempt, attempt)

    def _extend(self, path: Path, now: float, ended: bool) -> bool:
        start = self._offsets.get(path, 0)
        try:
            info = path.lstat()
            if not stat.S_ISREG(info.st_mode) or info.st_size <= start:
                return False
            data = _read(path, start, MAX_SEGMENT)
        except FileNotFoundError:
            return False
        end = data.rfind(b"\n") + 1
        at_end = ended and start + len(data) >= info.st_size
        if at_end or (not end and len(data) >= MAX_SEGMENT):
            end = len(data)
        if not end:
            return False
        last = self._segments[-1].at if self._segments else 0
        at = max(last, int(min(info.st_mtime, now) * 1000))
        lines = len(_lines(data[:end]))
        self._segments.append(_Segment(path, start, start + end, self.length, lines, at))
        self.length += lines
        self._offsets[path] = start + end
        return True

    def events(self, first: int, limit: int) -> list[Event]:
        """Events from an index on, at most `limit`."""
        with self._lock:
            segments = list(self._segments)
        found: list[Event] = []
        begin = max(0, bisect_right([segment.first for segment in segments], first) - 1)
        for segment in segments[begin:]:
            if len(found) >= limit:
                break
            lines = _lines(_read(segment.path, segment.start, segment.end - segment.start))
            for offset, line in enumerate(lines):
                if segment.first + offset >= first and len(found) < limit:
                    found.append(Event(segment.first + offset, segment.at, line))
        return found

    def since(self, at: int) -> int:
        """The index of the first event that is not older than a time in milliseconds."""
        with self._lock:
            return next((segment.first for segment in self._segments if segment.at >= at), self.length)

    def span(self) -> tuple[int, int] | None:
        """The times of the first and of the last event."""
        with self._lock:
            return (self._segments[0].at, self._segments[-1].at) if self._segments else None


def _read(path: Path, start: int, size: int) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return os.pread(handle, size, start)
    finally:
        os.close(handle)


def _lines(data: bytes) -> list[str]:
    text = data.decode("utf-8", "replace").removesuffix("\n")
    # A tab is shown as it is; CloudWatch refuses events without text, so an empty line becomes a blank.
    return [line.rstrip("\r")[:MAX_EVENT] or " " for line in text.split("\n")]


class Shelf:
    """The books that were looked at last."""

    def __init__(self) -> None:
        self._books: OrderedDict[str, Book] = OrderedDict()
        self._lock = threading.Lock()

    def book(self, name: str, paths: Callable[[int], Sequence[Path]]) -> Book:
        with self._lock:
            if name not in self._books:
                self._books[name] = Book(paths)
            self._books.move_to_end(name)
            while len(self._books) > KEPT_BOOKS:
                self._books.popitem(last=False)
            return self._books[name]
