"""How the acquisition is maximised: many cheap starts, slopes for real numbers, exchanges for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunewright.search.arrays import Bools, Floats, Ints
from tunewright.search.bayesian.acquisition import LogEI
from tunewright.search.bayesian.descent import descend
from tunewright.search.encode import Cube
from tunewright.search.random import Taken

GLOBAL, LOCAL, STARTS = 600, 300, 5
ENUMERABLE = 2048
"""Finite spaces up to this size are looked through whole."""
NEAR = 400
"""Latest trials that a continuous proposal keeps a distance from."""

_SLOPE_STEPS = 30
_EXCHANGES = 8
_ROUNDS = 3
_START_GAP = 0.1
_LEAST_GAP = 1e-5
_FEW_VALUES = 12
_SHORTLIST = 4
_FINALISTS = 2


@dataclass(frozen=True, slots=True)
class Maximiser:
    """Finds the row with the highest acquisition.

    Args:
        view: features of rows.
        taken: points that must not be proposed.
        near: rows that a continuous proposal keeps a distance from, shape (m, d).
        fixed: a categorical parameter and the value it must have, or None.
        barren: categorical parameters and values that are proposed only when fixed.
    """

    cube: Cube
    acquire: LogEI
    view: Callable[[Floats], Floats]
    taken: Taken
    near: Floats
    fixed: tuple[int, int] | None = None
    barren: Sequence[tuple[int, int]] = ()

    def best(self, good: Floats, extra: Floats, rng: np.random.Generator) -> tuple[Floats, float] | None:
        """The best free row found and its acquisition, or None when none was.

        Args:
            good: the best observed rows, best first, shape (k, d), k >= 1.
            extra: more candidates, shape (m, d).
        """
        if self.cube.size is not None and self.cube.size <= ENUMERABLE:
            return self._enumerate()
        candidates = self._fix(np.vstack([scatter(self.cube, good, rng), extra]))
        if not len(candidates):
            return None
        values = self._worth(candidates)
        order = np.argsort(-values, kind="stable")
        rows, heights = self._climb(*self._starts(candidates, values, order))
        tops = order[:50]
        rows, heights = np.vstack([rows, candidates[tops]]), np.concatenate([heights, values[tops]])
        for i in np.argsort(-heights, kind="stable"):
            if self.is_free(rows[i]):
                return rows[i], float(heights[i])
        return None

    def _worth(self, rows: Floats) -> Floats:
        """The acquisition of rows; minus infinity of those that are forbidden, or without the fixed value."""
        good = self.cube.allowed(rows)
        if self.fixed is not None:
            good &= self._has_value(rows)
        good &= self._fertile(rows)
        return np.asarray(np.where(good, self.acquire(self.view(rows)), -np.inf))

    def is_free(self, row: Floats) -> bool:
        if self.cube.key(row) in self.taken or not self.cube.lawful(row):
            return False
        if not len(self.cube.continuous) or not len(self.near):
            return True
        return bool(self._gaps(self.near, row).min() > _LEAST_GAP)

    def _enumerate(self) -> tuple[Floats, float] | None:
        rows = self.cube.all_rows
        if self.fixed is not None:
            rows = rows[self._has_value(rows)]
        fertile = rows[self._fertile(rows)]
        rows = fertile if any(self.cube.key(row) not in self.taken for row in fertile) else rows
        free = [i for i, row in enumerate(rows) if self.cube.key(row) not in self.taken]
        if not free:
            return None
        values = self.acquire(self.view(rows[free]))
        top = int(values.argmax())
        return rows[free[top]], float(values[top])

    def _fix(self, rows: Floats) -> Floats:
        if self.fixed is None:
            return rows
        rows[:, self.fixed[0]] = self.fixed[1]
        rows = self.cube.canonical(rows)
        return rows[self._has_value(rows)]

    def _has_value(self, rows: Floats) -> Bools:
        """In which rows the fixed parameter is active and has its value."""
        assert self.fixed is not None, "asked for when one is fixed"
        j, level = self.fixed
        return np.asarray((rows[:, j] == level) & self.cube.activity.active(rows)[:, j])

    def _fertile(self, rows: Floats) -> Bools:
        """Which rows have no barren value, but for the fixed one."""
        good = np.ones(len(rows), dtype=bool)
        for j, level in self.barren:
            if self.fixed != (j, level):
                good &= (rows[:, j] != level) | ~self.cube.activity.active(rows)[:, j]
        return good

    def _gaps(self, rows: Floats, row: Floats) -> Floats:
        """Maximum norms of differences; different categorical values are 1 apart."""
        return np.asarray(self.cube.gaps(rows, row).max(axis=1))

    def _starts(self, candidates: Floats, values: Floats, order: Ints) -> tuple[Floats, Floats]:
        """The best candidate and others, good and not close to one another."""
        chosen = [int(order[0])]
        for i in order[1:200]:
            if len(chosen) == STARTS:
                break
            if self._gaps(candidates[chosen], candidates[i]).min() > _START_GAP:
                chosen.append(int(i))
        return candidates[chosen], values[chosen]

    # ---- climbing ----

    def _climb(self, rows: Floats, heights: Floats) -> tuple[Floats, Floats]:
        discrete = np.concatenate([self.cube.categorical, self.cube.lattice])
        if self.fixed is not None:
            discrete = discrete[discrete != self.fixed[0]]
        smooth = len(self.cube.continuous) > 0
        shortlists = self._shortlists(rows[0], discrete)
        for _ in range(_ROUNDS if smooth and len(discrete) else 1):
            if smooth:
                rows, heights = self._along_slopes(rows, heights)
            moved = False
            if len(discrete):
                rows, heights, moved = self._by_exchange(rows, heights, discrete, shortlists)
            if not moved:
                break
            if shortlists:
                # Each of their exchanges looks at hundreds of rows: the last steps are for the best alone.
                best = np.argsort(-heights, kind="stable")[:_FINALISTS]
                rows, heights = rows[best], heights[best]
        return rows, heights

    def _along_slopes(self, rows: Floats, heights: Floats) -> tuple[Floats, Floats]:
        """L-BFGS-B over the continuous coordinates of all rows at once."""
        smooth = self.cube.continuous
        look = self.acquire.along(self.view(rows), self.cube.column[smooth])

        def loss(flat: Floats) -> tuple[float, Floats]:
            value, slope = look(flat.reshape(len(rows), -1))
            return -float(value.sum()), -slope.ravel()

        start = np.clip(rows[:, smooth], 0.0, 1.0).ravel()
        still = ~self.cube.activity.active(rows)[:, smooth].ravel()
        box = np.where(still, start, 0.0), np.where(still, start, 1.0)
        found = descend(loss, start, box, iterations=_SLOPE_STEPS, tolerances=(1e-7, 1e-5))
        moving = rows.copy()
        moving[:, smooth] = found.reshape(len(rows), -1)
        moving = self.cube.snap(moving)
        values = self._worth(moving)
        better = values > heights
        return np.where(better[:, None], moving, rows), np.where(better, values, heights)

    def _by_exchange(
        self, rows: Floats, heights: Floats, discrete: Ints, shortlists: Mapping[int, Floats]
    ) -> tuple[Floats, Floats, bool]:
        """Change one discrete coordinate at a time while that helps."""
        rows, heights = rows.copy(), heights.copy()
        all_discrete = not len(self.cube.continuous)
        live, moved = list(range(len(rows))), False
        for _ in range(_EXCHANGES):
            sets = [self._neighbours(rows[i], discrete, shortlists) for i in live]
            worths = self._worths(sets)
            if shortlists:
                more = [self._together(rows[i], heights[i], *each) for i, *each in zip(live, sets, worths, strict=True)]
                worths = [np.concatenate(pair) for pair in zip(worths, self._worths(more), strict=True)]
                sets = [np.vstack(pair) for pair in zip(sets, more, strict=True)]
            still = []
            for i, own, mine in zip(live, sets, worths, strict=True):
                if not len(mine):
                    continue
                top = int(mine.argmax())
                stuck = all_discrete and self.cube.key(rows[i]) in self.taken and math.isfinite(mine[top])
                if mine[top] > heights[i] + 1e-9 or stuck:
                    rows[i], heights[i] = own[top], mine[top]
                    still.append(i)
                    moved = True
            live = still
            if not live:
                break
        return rows, heights, moved

    def _worths(self, sets: Sequence[Floats]) -> list[Floats]:
        """The acquisition of each of some sets of rows; of taken ones minus infinity where nothing is continuous."""
        flat = np.vstack(sets)
        values = self._worth(flat) if len(flat) else np.empty(0)
        if not len(self.cube.continuous):
            values = np.where([self.cube.key(row) in self.taken for row in flat], -np.inf, values)
        return np.split(values, np.cumsum([len(rows) for rows in sets])[:-1])

    def _together(self, row: Floats, height: float, others: Floats, values: Floats) -> Floats:
        """The row with the best changes made together: of the two coordinates that gain most, of three, and so on."""
        changed, done, found = row.copy(), set(), []
        for k in np.argsort(-values, kind="stable"):
            if not values[k] > height + 1e-9:
                break
            j = int((others[k] != row).argmax())
            if j not in done:
                done.add(j)
                changed[j] = others[k, j]
                found.append(changed.copy())
        return self.cube.canonical(np.vstack([np.empty((0, self.cube.d)), *found[1:]]))

    def _shortlists(self, row: Floats, discrete: Ints) -> dict[int, Floats]:
        """The values that do best in one row, of categorical parameters that have many."""
        active = self.cube.activity.active(row[None])[0]
        found: dict[int, Floats] = {}
        for j in discrete[self.cube.is_categorical[discrete] & active[discrete]]:
            grid = self.cube.axes[j].grid
            if grid is not None and len(grid) > _FEW_VALUES:
                found[int(j)] = grid
        if not found:
            return {}
        values = self._worth(self.cube.canonical(np.vstack([_changed(row, j, grid) for j, grid in found.items()])))
        at = 0
        for j, grid in found.items():
            order = np.argsort(-values[at : at + len(grid)], kind="stable")
            at += len(grid)
            found[j] = grid[order[:_SHORTLIST]]
        return found

    def _neighbours(self, row: Floats, discrete: Ints, shortlists: Mapping[int, Floats]) -> Floats:
        """Rows that differ in one coordinate: any value of a short axis, some of a long one."""
        found = [np.empty((0, self.cube.d))]
        for j in discrete:
            grid = self.cube.axes[j].grid
            assert grid is not None
            size = len(grid)
            if self.cube.is_categorical[j] or size <= _FEW_VALUES:
                among = shortlists.get(int(j), grid)
                values = among[among != row[j]]
            else:
                place = self.cube.axes[j].place(float(row[j]))
                steps = {1, 2, max(1, size // 20), max(1, size // 8), max(1, size // 3)}
                places = sorted({place + s for s in steps} | {place - s for s in steps})
                values = grid[[p for p in places if 0 <= p < size]]
            found.append(_changed(row, int(j), values))
        return self.cube.canonical(np.vstack(found))


def _changed(row: Floats, j: int, values: Floats) -> Floats:
    """The row with each of some values at coordinate j, shape (len(values), d)."""
    block = np.repeat(row[None], len(values), axis=0)
    block[:, j] = values
    return block


def scatter(cube: Cube, good: Floats, rng: np.random.Generator) -> Floats:
    """Candidates: random rows of the whole space, and good rows with some coordinates moved a little."""
    whole = cube.draw(rng.random((GLOBAL, cube.d)))
    bases = good[rng.integers(min(len(good), 5), size=LOCAL)].copy()
    bases[: LOCAL // 2] = good[0]
    scale = np.exp(rng.uniform(math.log(0.01), math.log(0.4), (LOCAL, 1)))
    moves = rng.random(bases.shape) < np.maximum(1.0 / cube.d, rng.random((LOCAL, 1)))
    steps = scale * rng.standard_normal(bases.shape)
    for j in cube.lattice:
        grid = cube.axes[j].grid
        assert grid is not None
        least = 0.6 / max(1, len(grid) - 1)
        steps[:, j] = np.copysign(np.maximum(np.abs(steps[:, j]), least), steps[:, j])
    moved = np.where(moves, bases + steps, bases)
    levels = np.floor(rng.random(bases.shape) * np.maximum(cube.levels, 1))
    moved[:, cube.categorical] = np.where(moves, levels, bases)[:, cube.categorical]
    return np.vstack([whole, cube.snap(moved)])
