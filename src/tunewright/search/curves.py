"""Learning curves of a history's trials, read once and kept while the history grows.

A verdict is asked for at every emission of every trial, so it must not walk through all finished curves. What
is kept holds nothing that is not in the history.
"""

from __future__ import annotations

import threading
from bisect import bisect_right, insort
from dataclasses import dataclass
from itertools import accumulate, islice

from tunewright.core.history import History, Record
from tunewright.core.spec import JobSpec
from tunewright.search.recent import Recent
from tunewright.search.table import State, state_of


@dataclass(frozen=True, slots=True)
class Curve:
    """The finite part of a curve.

    Args:
        epochs: ascending, those with a finite value.
        values: the objective at each.
        averages: the mean of the values up to each.
        last: the largest epoch emitted, with or without a finite value.
    """

    epochs: tuple[int, ...]
    values: tuple[float, ...]
    averages: tuple[float, ...]
    last: int

    @classmethod
    def of(cls, record: Record) -> Curve:
        points = record.finite_curve()
        values = tuple(value for _, value in points)
        averages = tuple(total / place for place, total in enumerate(accumulate(values), start=1))
        return cls(tuple(epoch for epoch, _ in points), values, averages, max(record.curve, default=0))

    def value_at(self, epoch: int) -> float | None:
        """The last finite value up to an epoch; where there is none, the first one after it."""
        if not self.values:
            return None
        return self.values[max(0, bisect_right(self.epochs, epoch) - 1)]

    def average_at(self, epoch: int) -> float | None:
        """The running average up to an epoch."""
        place = bisect_right(self.epochs, epoch)
        return self.averages[place - 1] if place else None


class Curves:
    """Curves of the finished trials of one definition that count: ended with a finite objective."""

    def __init__(self, spec: JobSpec, definition: int) -> None:
        self.spec, self.definition = spec, definition
        self.finished: list[Curve] = []
        self.whole: list[Curve] = []
        """Those of trials that were done, or stopped for what they showed."""
        self.lengths: list[int] = []
        """Number of epochs of each of these, ascending."""
        self._walked = 0
        self._last: Record | None = None
        self._open: list[int] = []
        self._averages: dict[int, tuple[int, list[float]]] = {}
        self._values: dict[int, tuple[int, list[float]]] = {}

    def extends_to(self, history: History) -> bool:
        """Whether the history is the one followed, grown or unchanged."""
        if history.spec is not self.spec or len(history.records) < self._walked:
            return False
        if self._last is None:
            return True
        found = history.records.get(self._last.number)
        return found is not None and found.point == self._last.point

    def update(self, history: History) -> None:
        waiting, self._open = self._open, []
        fresh = list(islice(history.records.values(), self._walked, None))
        for record in [history.records[number] for number in waiting] + fresh:
            if record.live:
                self._open.append(record.number)
            elif record.definition == self.definition and record.curve and state_of(record) is State.GOOD:
                curve = Curve.of(record)
                self.finished.append(curve)
                if record.ended is not None and not record.ended.cut:
                    self.whole.append(curve)
                    insort(self.lengths, curve.last)
        if fresh:
            self._walked += len(fresh)
            self._last = fresh[-1]

    def averages(self, epoch: int) -> list[float]:
        """Running averages up to an epoch of the whole curves that reached it, ascending."""
        done, found = self._averages.get(epoch, (0, []))
        for curve in islice(self.whole, done, None):
            average = curve.average_at(epoch)
            if curve.last >= epoch and average is not None:
                insort(found, average)
        self._averages[epoch] = (len(self.whole), found)
        return found

    def values(self, epoch: int) -> list[float]:
        """`value_at` an epoch of the finished trials that reached it, ascending."""
        done, found = self._values.get(epoch, (0, []))
        for curve in islice(self.finished, done, None):
            value = curve.value_at(epoch)
            if curve.last >= epoch and value is not None:
                insort(found, value)
        self._values[epoch] = (len(self.finished), found)
        return found


class CurveBook:
    """The curves of the histories judged most recently."""

    def __init__(self) -> None:
        self._known: Recent[JobSpec, dict[int, Curves]] = Recent(64)
        self._lock = threading.Lock()

    def of(self, history: History, definition: int) -> Curves:
        """The up-to-date curves of one definition's trials."""
        with self._lock:
            book = self._known.of(history.spec, dict)
            curves = book.get(definition)
            if curves is None or not curves.extends_to(history):
                curves = book[definition] = Curves(history.spec, definition)
            curves.update(history)
        return curves
