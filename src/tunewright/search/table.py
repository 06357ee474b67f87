"""The trials of a history as arrays, kept up to date as the history grows.

Encoding ten thousand points takes a tenth of a second; a growing history adds a few at a time. A `Table`
remembers what it has encoded. It holds nothing that is not in the history, and is rebuilt when in doubt.
"""

from __future__ import annotations

import math
import threading
from enum import IntEnum
from itertools import islice

import numpy as np

from tunewright.core.history import History, Record
from tunewright.core.space import Space
from tunewright.core.spec import JobSpec
from tunewright.search.arrays import Floats, Ints
from tunewright.search.encode import Cube
from tunewright.search.recent import Recent

MOST = 64
"""Spaces whose cubes are kept, and jobs whose tables are."""
_cubes: Recent[Space, Cube] = Recent(MOST)


class State(IntEnum):
    """What a trial means to a model."""

    LIVE = 0
    GOOD = 1
    BAD = 2
    """Failed or diverged: the region is known to be bad."""
    VOID = 3
    """Ended by somebody before it said anything: nothing is known."""
    PAUSED = 4
    """May go on: what it showed is known, and nothing is on its way."""


def state_of(record: Record) -> State:
    """What a trial means to a model, by how it ended."""
    if record.ended is None:
        return State.PAUSED if record.paused else State.LIVE
    if record.ended.value is not None and math.isfinite(record.ended.value):
        return State.GOOD
    return State.VOID if record.ended.stopped and not record.ended.diverged else State.BAD


def cube_of(space: Space) -> Cube:
    """The cube of a space, made once: counting the points of one with rules takes long."""
    return _cubes.of(space, lambda: Cube(space))


class Table:
    """Rows of one history with a single definition, in launch order.

    Attributes:
        cube: the unit cube of the definition's space.
        keys: key of a point -> how many trials have it.
        begun: how many of the points that the user wants tried first are known to have a trial.
    """

    def __init__(self, spec: JobSpec) -> None:
        self.spec = spec
        self.cube = cube_of(spec.definitions[0].space)
        self.keys: dict[bytes, int] = {}
        self.lock = threading.RLock()
        self.begun = 0
        self._numbers: list[int] = []
        self._records: list[Record] = []
        self._rows = np.empty((16, self.cube.d))
        self._values = np.empty(16)
        self._states = np.empty(16, dtype=np.int64)
        self._open: list[int] = []
        self._inside = 0

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def records(self) -> list[Record]:
        """The trials as they were last seen."""
        return self._records

    @property
    def rows(self) -> Floats:
        """Unit coordinates, shape (n, d)."""
        return self._rows[: len(self)]

    @property
    def values(self) -> Floats:
        """Objectives to minimise, shape (n,); NaN for trials without a finite one."""
        return self._values[: len(self)]

    @property
    def states(self) -> Ints:
        """`State` of each trial, shape (n,)."""
        return self._states[: len(self)]

    def inside(self, more: int = 0) -> int:
        """How many distinct points of the space have a trial, `more` new ones included."""
        return self._inside + more

    def extends_to(self, history: History) -> bool:
        """Whether the history is this table's own, grown or unchanged."""
        n = len(self)
        if history.spec is not self.spec or len(history.records) < n:
            return False
        if not n:
            return True
        last = history.records.get(self._numbers[-1])
        first = history.records.get(self._numbers[0])
        mine = self._records[-1], self._records[0]
        return last is not None and first is not None and (last.point, first.point) == (mine[0].point, mine[1].point)

    def update(self, history: History) -> None:
        """Take in what is new in a history that this table `extends_to`."""
        waiting, self._open = self._open, []
        for i in waiting:
            self._put(i, history.records[self._numbers[i]])
        for record in islice(history.records.values(), len(self), None):
            i = len(self)
            self._grow(i + 1)
            self._numbers.append(record.number)
            self._records.append(record)
            self._rows[i] = self.cube.encode(record.point)
            key = self.cube.key(self._rows[i])
            self._inside += key not in self.keys and self.cube.space.contains(record.point)
            self.keys[key] = self.keys.get(key, 0) + 1
            self._put(i, record)

    def _put(self, i: int, record: Record) -> None:
        state = state_of(record)
        self._records[i] = record
        self._states[i] = state
        self._values[i] = (
            self.spec.sign * record.value if state is State.GOOD and record.value is not None else math.nan
        )
        if state in (State.LIVE, State.PAUSED):
            self._open.append(i)

    def _grow(self, needed: int) -> None:
        if needed <= len(self._rows):
            return
        room = 2 * len(self._rows)
        self._rows = np.resize(self._rows, (room, self.cube.d))
        self._values = np.resize(self._values, room)
        self._states = np.resize(self._states, room)


class Tables:
    """The tables of the histories asked about most recently."""

    def __init__(self) -> None:
        self._tables: Recent[JobSpec, Table] = Recent(MOST)
        self._lock = threading.Lock()

    def of(self, history: History) -> Table:
        """The up-to-date table of a history with one definition."""
        with self._lock:
            table = self._tables.get(history.spec)
            if table is None or not table.extends_to(history):
                table = Table(history.spec)
                self._tables.put(history.spec, table)
            with table.lock:
                table.update(history)
        return table
