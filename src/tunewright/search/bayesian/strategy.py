"""Bayesian search: initial design, fit, acquisition, in order."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from tunewright.core.history import History
from tunewright.core.ports import Proposals
from tunewright.search.bayesian import design, floor, pending
from tunewright.search.bayesian.acquisition import LogEI
from tunewright.search.bayesian.model import Data, fit
from tunewright.search.bayesian.optimise import Hunt
from tunewright.search.bayesian.posterior import Posterior
from tunewright.search.bayesian.priors import Layout, Prior
from tunewright.search.bayesian.transforms import model_targets
from tunewright.search.encode import Cube, Floats, Ints
from tunewright.search.random import Taken, fill, next_free, random_row
from tunewright.search.table import State, Table, Tables
from tunewright.search.threads import one_blas_thread

FIT_MOST = 250
"""Observations that theta is fitted to; in longer histories the best half and random others."""

KEEP_MOST = 700
"""Observations that the posterior is conditioned on."""

_FIT_STEP = 60
_SALT = 3_000_017


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to learn from when a trial is proposed.

    Args:
        rows: observed trials, shape (n, d).
        values: objectives to minimise, NaN for failures, shape (n,).
        waiting: rows of pending trials, shape (p, d).
        every: rows of all trials in launch order, those under way included, shape (n + p, d).
    """

    rows: Floats
    values: Floats
    waiting: Floats
    every: Floats


class BayesianSearch:
    """A Gaussian process over the unit cube, expected improvement, and nothing remembered but cached fits."""

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = tables or Tables()
        self._fits = Fits()

    def propose(self, history: History, first: int, count: int) -> Proposals:
        """Configurations for trials `first` to `first + count - 1`, each knowing of those before it."""
        table = self._tables.of(history)
        with table.lock, one_blas_thread():
            new: list[Floats] = []

            def choose(number: int, taken: Taken) -> Floats | None:
                row = self._row(table, number, taken, new)
                if row is not None:
                    new.append(row)
                return row

            return fill(table, first, count, choose)

    def _row(self, table: Table, number: int, taken: Taken, new: list[Floats]) -> Floats | None:
        cube, seed = table.cube, table.spec.seed
        seen = _seen(table, new)
        good = np.isfinite(seen.values)
        blind = good.sum() < 2 or np.ptp(seen.values[good]) == 0
        initial = design.initial_size(cube.d)
        if len(seen.every) < initial:
            row = design.initial_rows(cube, seed)[len(seen.every)]
        elif blind:
            row = design.far_row(cube, seen.every, seed, number)
        else:
            rng = np.random.default_rng([seed, number, _SALT])
            found = self._hunt(table, seen, taken, rng, initial)
            if found is not None:
                return found
            row = random_row(cube, seed, number)
        return free_row(cube, seed, number, row, taken)

    def _hunt(self, table: Table, seen: Seen, taken: Taken, rng: np.random.Generator, initial: int) -> Floats | None:
        cube = table.cube
        data, kept = self._data(table, seen)
        posterior = Posterior.of(data, self._fits.theta(table, seen))
        order = np.argsort(posterior.fitted, kind="stable")
        forced = floor.due_level(cube, seen.every, initial, rng)
        if forced is not None:
            own = seen.rows[kept, forced[0]] == forced[1]
            own &= np.isfinite(seen.values[kept])
            if own.any():
                posterior = posterior.with_incumbent(own)
        if len(seen.waiting):
            features = cube.features(seen.waiting)
            if len(cube.categorical):
                posterior = pending.fantasise(posterior, features, rng)
            else:
                posterior = pending.believe(posterior, features)
        near = np.vstack([seen.rows[-400:], seen.waiting])
        hunt = Hunt(cube, LogEI(posterior), cube.features, taken, near, forced)
        return hunt.best_row(seen.rows[kept[order]], np.empty((0, cube.d)), rng)

    def _data(self, table: Table, seen: Seen) -> tuple[Data, Ints]:
        """What the posterior is conditioned on, and which observations those are."""
        targets = model_targets(seen.values)
        kept = subset(targets, KEEP_MOST, table.spec.seed)
        layout = Layout.of(table.cube)
        return Data(table.cube.features(seen.rows[kept]), targets[kept], layout), kept


def _seen(table: Table, new: list[Floats]) -> Seen:
    usable = np.isfinite(table.rows).all(axis=1)
    learnt = usable & ((table.states == State.GOOD) | (table.states == State.BAD))
    live = usable & (table.states == State.LIVE)
    fresh = np.array(new).reshape(len(new), table.cube.d)
    return Seen(
        rows=table.rows[learnt],
        values=table.values[learnt],
        waiting=np.vstack([table.rows[live], fresh]),
        every=np.vstack([table.rows[learnt | live], fresh]),
    )


def free_row(cube: Cube, seed: int, number: int, row: Floats, taken: Taken) -> Floats | None:
    """`row`, or random ones until one is free; None when a finite space is used up."""
    for attempt in range(1, 32):
        if cube.key(row) not in taken:
            return row
        row = random_row(cube, seed, number, attempt)
    return row if cube.size is None else next_free(cube, row, taken)


def subset(targets: Floats, most: int, seed: int) -> Ints:
    """Indices of at most `most` observations in order: the best half of them, and random others."""
    n = len(targets)
    if n <= most:
        return np.arange(n)
    order = np.argsort(targets, kind="stable")
    rest = order[most // 2 :]
    rng = np.random.default_rng([seed, n, most])
    return np.sort(np.concatenate([order[: most // 2], rng.choice(rest, most - most // 2, replace=False)]))


class Fits:
    """Theta by what it was fitted to. Losing the cache costs time and changes nothing.

    With few observations every new one is fitted to; with many theta moves slowly, so that it is fitted to the
    first m of n observations in launch order, with m a round number.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._known: OrderedDict[bytes, Floats] = OrderedDict()
        self._lock = threading.Lock()

    def theta(self, table: Table, seen: Seen) -> Floats:
        n = len(seen.values)
        step = max(1, n // _FIT_STEP)
        m = n - n % step
        rows, values = seen.rows[:m], seen.values[:m]
        digest = hashlib.sha256(rows.tobytes() + values.tobytes() + repr(table.cube.space).encode()).digest()
        with self._lock:
            if digest in self._known:
                self._known.move_to_end(digest)
                return self._known[digest]
        if np.isfinite(values).sum() < 2:
            rows, values = seen.rows, seen.values
        targets = model_targets(values)
        kept = subset(targets, FIT_MOST, table.spec.seed)
        layout = Layout.of(table.cube)
        data = Data(table.cube.features(rows[kept]), targets[kept], layout)
        theta = fit(data, Prior.of(layout, len(values)))
        with self._lock:
            self._known[digest] = theta
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return theta
