"""The trials of parents in a new job's cube, and which configurations of theirs are known already."""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from tunewright.core.history import History, Record
from tunewright.core.space import CategoricalParameter, Space, Value
from tunewright.core.spec import IDENTICAL, JobSpec
from tunewright.search.arrays import Floats
from tunewright.search.encode import Cube
from tunewright.search.recent import Recent
from tunewright.search.table import State, cube_of, state_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parent:
    """A parent's results in the new job's cube.

    Args:
        rows: shape (n, d), unclipped; trials that have no place in the cube are left out.
        values: objectives to minimise, NaN for failures, shape (n,).
    """

    rows: Floats
    values: Floats

    @property
    def useful(self) -> bool:
        """Whether there are two different results to learn from."""
        good = self.values[np.isfinite(self.values)]
        return len(good) > 1 and float(np.ptp(good)) > 0


def read_parent(parent: History, cube: Cube, sign: float) -> Parent:
    """A parent's trials that ended, as far as they can be encoded."""
    rows, values = [], []
    for record in parent.finished():
        state = state_of(record)
        if state not in (State.GOOD, State.BAD):
            continue
        row = cube.encode(_complete(parent, record, cube.space))
        if np.isfinite(row).all():
            rows.append(row)
            values.append(sign * record.value if state is State.GOOD and record.value is not None else math.nan)
    return Parent(np.array(rows).reshape(len(rows), cube.d), np.array(values))


def places(parent: History, space: Space) -> tuple[int, int]:
    """How many of a parent's results have a place in a new job's space, and how many have none."""
    results = sum(state_of(record) in (State.GOOD, State.BAD) for record in parent.finished())
    used = len(read_parent(parent, cube_of(space), 1.0).rows)
    return used, results - used


def _complete(parent: History, record: Record, space: Space) -> dict[str, Value]:
    """A parent's point with what was static there and is tuned here."""
    static = parent.spec.definitions[record.definition].training.static
    point = dict(record.point)
    for name, parameter in space.parameters.items():
        if name in static and name not in point:
            try:
                point[name] = parameter.cast(static[name])
            except ValueError:
                continue
        elif isinstance(parameter, CategoricalParameter) and name in point and not parameter.contains(point[name]):
            # The same value may have come as text on one side and as a number on the other.
            texts = {parameter.text(value): value for value in parameter.values}
            point[name] = texts.get(parameter.text(point[name]), point[name])
    return point


class FromParents(Generic[T]):
    """What is worked out from a history's parents, for the jobs asked about most recently; anew when a parent grew.

    Args:
        most: jobs remembered.
    """

    def __init__(self, most: int) -> None:
        self._known: Recent[JobSpec, tuple[tuple[History, ...], list[int], T]] = Recent(most)
        self._lock = threading.Lock()

    def of(self, history: History, make: Callable[[], T]) -> T:
        """What `make` gave for the parents as they are."""
        parents, versions = history.parents, [parent.version for parent in history.parents]
        with self._lock:
            known = self._known.get(history.spec)
            # Parents are compared by identity: two of equal content would be read to the same end.
            if known is None or known[1] != versions or not all(map(operator.is_, known[0], parents)):
                known = (parents, versions, make())
                self._known.put(history.spec, known)
            return known[2]


class Known:
    """The points whose results a job has from its parents."""

    def __init__(self) -> None:
        self._keys: FromParents[frozenset[bytes]] = FromParents(64)

    def of(self, history: History, cube: Cube) -> frozenset[bytes]:
        """Their keys; none unless data and algorithm are the same."""
        warm = history.spec.warm_start
        if warm is None or warm.type != IDENTICAL:
            return frozenset()
        rows = (row for parent in history.parents for row in read_parent(parent, cube, 1.0).rows)
        return self._keys.of(history, lambda: frozenset(cube.key(row) for row in rows))
