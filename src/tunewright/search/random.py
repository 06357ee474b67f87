"""Random search: the k-th trial's configuration follows from the seed and k.

Numeric parameters are uniform in their scaled value. A finite space is drawn without replacement: no point
comes twice while another one is left. What parents with the same data and algorithm have tried is not tried again
either, be the seed theirs, while anything else is left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import numpy as np

from tunewright.core.counting import FEW
from tunewright.core.events import Proposal
from tunewright.core.history import History
from tunewright.core.ports import Proposals
from tunewright.search.arrays import Floats, Ints
from tunewright.search.encode import Cube
from tunewright.search.parents import Known
from tunewright.search.recent import Recent
from tunewright.search.table import Table, Tables

MAX_ORDERED = 1 << 17
"""Finite spaces up to this size are put in a random order once; in larger ones collisions are drawn again."""

MAX_WALKED = FEW
"""The same where rules make every point be looked at."""

_TRIES = 64
_BLOCK, _BLOCKS = 256, 8
"""Draws in turn, and how often, until one is not forbidden."""


class RandomSearch:
    """Independent draws, one generator per trial number."""

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = tables or Tables()
        self._orders: Recent[Cube, _Order] = Recent(16)
        self._known = Known()

    def propose(self, history: History, first: int, count: int) -> Proposals:
        """Configurations for trials `first` to `first + count - 1`; fewer when the space is used up."""
        table = self._tables.of(history)
        known = self._known.of(history, table.cube)

        def choose(number: int, taken: Taken) -> Floats | None:
            return sparing(known, taken, lambda all_taken: self._row(table, number, all_taken))

        with table.lock:
            return fill(table, first, count, choose)

    def _row(self, table: Table, number: int, taken: Taken) -> Floats | None:
        cube, seed = table.cube, table.spec.seed
        if cube.size is not None and cube.size <= (MAX_ORDERED if cube.plain else MAX_WALKED):
            return self._orders.of(cube, lambda: _Order(cube, seed)).first_free(taken)
        if cube.size is None and cube.plain and not taken.spared:
            return random_row(cube, seed, number)
        for attempt in range(_TRIES):
            row = random_row(cube, seed, number, attempt)
            if cube.key(row) not in taken:
                return row
        return row if cube.size is None else next_free(cube, row, taken)


class Taken:
    """Keys of points that must not be proposed again: those of a history, and those just proposed beside them.

    Args:
        known: those of the history.
        spared: others that are not to be proposed this time.
    """

    def __init__(self, known: Mapping[bytes, int], spared: Collection[bytes] = ()) -> None:
        self.known = known
        self.new: set[bytes] = set()
        self.spared = spared

    def __contains__(self, key: bytes) -> bool:
        return key in self.known or key in self.new or key in self.spared

    def __len__(self) -> int:
        return len(self.known) + len(self.new) + len(self.spared)


def sparing(keys: Collection[bytes], taken: Taken, choose: Callable[[Taken], Floats | None]) -> Floats | None:
    """What is chosen beside some points that are known from elsewhere; one of them only when no other is left."""
    if keys:
        wider = Taken(taken.known, keys)
        wider.new = taken.new
        row = choose(wider)
        if row is not None:
            return row
    return choose(taken)


class Chooser(Protocol):
    """Finds a free row for a trial, or None when the space is used up."""

    def __call__(self, number: int, taken: Taken, /) -> Floats | None: ...


def fill(table: Table, first: int, count: int, choose: Chooser) -> Proposals:
    """Ask `choose` for `count` rows in turn; says `exhausted` as soon as no point is left."""
    cube, taken = table.cube, Taken(table.keys)
    chosen: list[Proposal] = []
    for number in range(first, first + count):
        row = choose(number, taken)
        if row is None:
            break
        taken.new.add(cube.key(row))
        chosen.append(Proposal(number, cube.decode(row)))
    used_up = cube.size is not None and table.inside(len(taken.new)) >= cube.size
    return Proposals(tuple(chosen), exhausted=len(chosen) < count or used_up)


def random_row(cube: Cube, seed: int, number: int, attempt: int = 0) -> Floats:
    """The allowed row that trial `number` draws; further attempts when it is taken.

    Raises:
        Invalid: nothing allowed was found.
    """
    rng = np.random.default_rng([seed, number, attempt] if attempt else [seed, number])
    row = cube.draw(rng.random((1, cube.d)))[0]
    if cube.plain or cube.lawful(row):
        return np.asarray(row)
    for _ in range(_BLOCKS):
        rows = cube.draw(rng.random((_BLOCK, cube.d)))
        good = np.flatnonzero(cube.allowed(rows))
        if len(good):
            return np.asarray(rows[good[0]])
    return cube.wander(rng)


def next_free(cube: Cube, row: Floats, taken: Taken) -> Floats | None:
    """The first free point from `row` on in counting order, for finite spaces that are nearly used up."""
    assert cube.size is not None, "only finite spaces are counted through"
    if not cube.plain:
        return next((candidate for candidate in cube.walk() if cube.key(candidate) not in taken), None)
    start = cube.index_of(row)
    for step in range(min(cube.size, len(taken) + 1)):
        candidate = cube.row_at((start + step) % cube.size)
        if cube.key(candidate) not in taken:
            return candidate
    return None


class _Order:
    """A finite space in random order, likelier points earlier.

    Sorting by exponential variates over the weights is the same as drawing one point after the other without
    replacement (Efraimidis and Spirakis 2006).
    """

    def __init__(self, cube: Cube, seed: int) -> None:
        assert cube.size is not None, "only finite spaces have an order"
        self._cube = cube
        draws = np.random.default_rng([seed, 0]).exponential(size=cube.size)
        self._order: Ints = np.argsort(draws / cube.weights)
        self._start = {False: 0, True: 0}

    def first_free(self, taken: Taken) -> Floats | None:
        """The first point that is not taken. What the history holds and what is spared stays so: it is skipped once."""
        sparing = bool(taken.spared)
        for place in range(self._start[sparing], len(self._order)):
            row = self._cube.row_at(int(self._order[place]))
            key = self._cube.key(row)
            if key not in taken:
                return row
            if place == self._start[sparing] and key not in taken.new:
                self._start[sparing] += 1
        return None
