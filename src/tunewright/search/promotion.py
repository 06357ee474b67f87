"""Hyperband that pauses instead of stopping: asynchronous successive halving by promotion (Li et al. 2020, "ASHA").

A trial that reaches a rung goes on while it is among the best third of all that came so far; else it is paused. When
more have come and it is among the best third, it is promoted: resumed from its checkpoint. It is asked about once at
each rung, and promoted past it at most once. Nothing is lost by a pause.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from tunewright.core.events import Promotion
from tunewright.core.history import History, Record
from tunewright.core.trial import StopCause, Verdict
from tunewright.search.curves import Curve
from tunewright.search.hyperband import ETA, at_the_end, rungs, without_value
from tunewright.search.table import State, state_of

_OUT = (State.BAD, State.VOID)


class PromotionRule:
    """Judges one emission at a time, and finds the paused trials that may go on."""

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        """Whether trial `number` goes on after its emission at epoch `upto`, or is paused."""
        settings = history.spec.resources
        record = history.records[number]
        end = at_the_end(settings, record, upto)
        if end is not None:
            return end
        passed = rungs(settings, upto)
        if not passed or passed[-1] <= record.weighed:
            return Verdict(False)
        standing = Standing(history, record.definition, passed[-1])
        if value_at(record, passed[-1]) is None:
            return without_value(upto, passed[-1], standing.count)
        place = standing.place(record)
        fit = place <= standing.places
        why = standing.words(f"{'goes on' if fit else 'paused'} at epoch {upto}", place)
        return Verdict(not fit, why, standing.value(place), standing.bar, StopCause.EARLY if fit else StopCause.PAUSED)

    def promote(self, history: History, places: int) -> tuple[Promotion, ...]:
        """The paused trials that are among the best third of their rung: the highest rung first, there the best."""
        found: list[Promotion] = []
        for rung, waiting in _waiting(history):
            for definition in sorted({record.definition for record in waiting}):
                found += _fit(Standing(history, definition, rung), waiting)
            if len(found) >= places:
                break
        return tuple(found[:places])


class Standing:
    """The trials of one definition that passed a rung, the best first; of equals the earlier one."""

    def __init__(self, history: History, definition: int, rung: int) -> None:
        self.rung = rung
        self._sign = history.spec.sign
        self._ranked: list[tuple[float, int]] = []
        for record in history.records.values():
            if record.definition == definition and state_of(record) not in _OUT:
                value = value_at(record, rung)
                if value is not None:
                    self._ranked.append((self._sign * value, record.number))
        self._ranked.sort()

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self._ranked)

    @property
    def places(self) -> int:
        """How many of them go on."""
        return self.count // ETA

    @property
    def best(self) -> Sequence[int]:
        """The numbers of those that go on, best first."""
        return [number for _, number in self._ranked[: self.places]]

    @property
    def bar(self) -> float | None:
        """The value of the last one that goes on; None while there are too few."""
        return self.value(self.places) if self.places else None

    def value(self, place: int) -> float:
        """The objective at a place."""
        return self._sign * self._ranked[place - 1][0]

    def place(self, record: Record) -> int:
        """A trial's place, from 1."""
        value = value_at(record, self.rung)
        assert value is not None, "only trials that passed the rung have a place"
        return bisect_left(self._ranked, (self._sign * value, record.number)) + 1

    def words(self, what: str, place: int) -> str:
        """The numbers that were compared."""
        up_to = f"the best {self.places} go on (up to {self.bar:.6g})" if self.places else f"{ETA} are needed"
        return f"{what}: {self.value(place):.6g} at rung {self.rung} is number {place} of {self.count} jobs, {up_to}"


def value_at(record: Record, rung: int) -> float | None:
    """The objective at a rung, None when the trial did not pass it with a finite one."""
    value = record.curve.get(rung)
    if value is not None and math.isfinite(value):
        return value
    return Curve.of(record).value_at(rung) if max(record.curve, default=0) >= rung else None


def _waiting(history: History) -> Iterator[tuple[int, list[Record]]]:
    """The paused trials by the highest rung that they passed, the highest rung first."""
    settings = history.spec.resources
    found: dict[int, list[Record]] = {}
    for record in history.records.values():
        if record.paused:
            passed = rungs(settings, max(record.curve, default=0))
            if passed and value_at(record, passed[-1]) is not None:
                found.setdefault(passed[-1], []).append(record)
    return ((rung, found[rung]) for rung in sorted(found, reverse=True))


def _fit(standing: Standing, waiting: Sequence[Record]) -> Iterator[Promotion]:
    candidates = {record.number: record for record in waiting}
    for place, number in enumerate(standing.best, start=1):
        if number in candidates:
            epoch = max(candidates[number].curve)
            why = standing.words(f"resumed after epoch {epoch}", place)
            yield Promotion(number, Verdict(False, why, standing.value(place), standing.bar))
