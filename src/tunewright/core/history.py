"""All that a strategy may see of a job: its spec and, per trial, the configuration, the curve and the end.

A history is built by applying the facts that `step` lets out, one by one. The store can rebuild it at any
time; the loop keeps one per job in memory and may lose it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tunewright.core.space import Point
from tunewright.core.spec import JobSpec


@dataclass(frozen=True, slots=True)
class Appeared:
    """A trial exists from now on."""

    number: int
    definition: int
    point: Point


@dataclass(frozen=True, slots=True)
class Emitted:
    """An objective value at an epoch; a repeated epoch replaces. May be NaN or infinite."""

    number: int
    epoch: int
    value: float


@dataclass(frozen=True, slots=True)
class Restarted:
    """A new attempt began: the curve so far is void."""

    number: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """Where trials may be paused: it was told to go on or to pause, on its curve up to `upto`; or it was resumed."""

    number: int
    upto: int
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial is over.

    Args:
        value: its final objective when it counts, else None.
        failed: the program failed, or its objective never appeared.
        diverged: the last objective was NaN or infinite.
        stopped: it was ended before its program was done.
        cut: so, and not for what it showed: by its user, by a limit of its time, or with its tuning job.
    """

    number: int
    value: float | None
    failed: bool
    diverged: bool
    stopped: bool
    cut: bool = False


Fact: TypeAlias = Appeared | Emitted | Restarted | Weighed | Ended


@dataclass(frozen=True, slots=True)
class Record:
    """One trial as a strategy sees it.

    Args:
        curve: epoch to objective; grows in place while the trial is live and not paused.
        weighed: the epoch up to which it had its verdict, where trials may be paused.
        paused: it was stopped at a rung and may go on.
    """

    number: int
    definition: int
    point: Point
    curve: dict[int, float] = field(default_factory=dict)
    ended: Ended | None = None
    weighed: int = 0
    paused: bool = False

    @property
    def live(self) -> bool:
        return self.ended is None

    @property
    def growing(self) -> bool:
        """Whether its curve may get longer in place."""
        return self.live and not self.paused

    @property
    def value(self) -> float | None:
        return None if self.ended is None else self.ended.value

    def finite_curve(self) -> list[tuple[int, float]]:
        """(epoch, value) in order of epoch; gaps where a value was not finite."""
        return [(epoch, self.curve[epoch]) for epoch in sorted(self.curve) if math.isfinite(self.curve[epoch])]


class History:
    """The trials of one job by number. Mutable only through `apply`; give strategies a `snapshot`.

    Attributes:
        turns: how many definitions the numbers go round: the spec's, or the whole job's where this is a part of one.
    """

    def __init__(self, spec: JobSpec, parents: tuple[History, ...] = (), turns: int | None = None) -> None:
        self.spec = spec
        self.parents = parents
        self.turns = len(spec.definitions) if turns is None else turns
        self.records: dict[int, Record] = {}
        self.version = 0

    def apply(self, facts: Iterable[Fact]) -> None:
        """Take facts in, in the order in which they came to be."""
        for fact in facts:
            self.version += 1
            self._apply(fact)

    def _apply(self, fact: Fact) -> None:
        match fact:
            case Appeared():
                self.records[fact.number] = Record(fact.number, fact.definition, fact.point)
            case Emitted():
                self.records[fact.number].curve[fact.epoch] = fact.value
            case Restarted():
                self.records[fact.number] = replace(self.records[fact.number], curve={}, weighed=0, ended=None)
            case Weighed():
                record = self.records[fact.number]
                # Snapshots share the curve of a paused trial, which must not grow in theirs.
                curve = dict(record.curve) if record.paused else record.curve
                self.records[fact.number] = replace(record, curve=curve, weighed=fact.upto, paused=fact.paused)
            case Ended():
                self.records[fact.number] = replace(self.records[fact.number], paused=False, ended=fact)

    def snapshot(self) -> History:
        """A copy that later facts do not touch; records that may grow are copied, the others are shared."""
        copy = History(self.spec, self.parents, self.turns)
        copy.records = {n: replace(r, curve=dict(r.curve)) if r.growing else r for n, r in self.records.items()}
        copy.version = self.version
        return copy

    def finished(self) -> list[Record]:
        """Ended trials in launch order; of a parent too to which another thread adds meanwhile."""
        return [r for r in list(self.records.values()) if not r.live]

    def live(self) -> list[Record]:
        return [r for r in self.records.values() if r.live]
