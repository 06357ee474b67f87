"""What there is to learn from when a trial is proposed, and the model fitted to it."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewright.search.bayesian.model import Data, fit
from tunewright.search.bayesian.priors import Layout, Prior
from tunewright.search.bayesian.transforms import model_targets
from tunewright.search.encode import Cube, Floats, Ints
from tunewright.search.table import State, Table
from tunewright.search.transfer import Parent, Task

FIT_MOST = 250
"""Observations that theta is fitted to; in longer histories the best half and random others."""

KEEP_MOST = 700
"""Observations that the posterior is conditioned on."""

COARSE, COARSE_LEAST = 8, 8
"""Theta is fitted from scratch whenever the observations have grown by one in `COARSE`, or by `COARSE_LEAST`."""

FINE = 60
"""In between it is adjusted whenever they have grown by one in so many."""

FEW = 4
"""With fewer own results than this their scale is borrowed from the parents."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The trials of a job.

    Args:
        rows: observed trials, those pooled from identical parents first, shape (n, d).
        values: objectives to minimise, NaN for failures, shape (n,).
        waiting: rows of pending trials, shape (p, d).
        every: rows of the job's own trials in launch order, those under way included.
    """

    rows: Floats
    values: Floats
    waiting: Floats
    every: Floats

    @classmethod
    def of(cls, table: Table, new: Sequence[Floats], pooled: Parent) -> Seen:
        """The trials of a table, `new` ones pending beside them."""
        usable = np.isfinite(table.rows).all(axis=1)
        learnt = usable & ((table.states == State.GOOD) | (table.states == State.BAD))
        live = usable & (table.states == State.LIVE)
        fresh = np.array(new).reshape(len(new), table.cube.d)
        return cls(
            rows=np.vstack([pooled.rows, table.rows[learnt]]),
            values=np.concatenate([pooled.values, table.values[learnt]]),
            waiting=np.vstack([table.rows[live], fresh]),
            every=np.vstack([table.rows[learnt | live], fresh]),
        )

    @property
    def good(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.isfinite(self.values)

    @property
    def blind(self) -> bool:
        """Whether there are not even two different results."""
        found = self.values[self.good]
        return len(found) < 2 or float(np.ptp(found)) == 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """The model's data.

    Args:
        data: own observations first, then those of parents.
        kept: which of `Seen.rows` the first lines of the data are.
    """

    data: Data
    kept: Ints

    @classmethod
    def of(cls, cube: Cube, seen: Seen, tasks: Sequence[Task], most: int, seed: int) -> Evidence:
        """At most `most` observations of a job and its trusted parents."""
        targets = own_targets(seen.values, borrowed=bool(tasks))
        spare = most - sum(len(task.rows) for task in tasks)
        kept = subset(targets, max(spare, most // 3), seed)
        rows, values, columns = [seen.rows[kept]], [targets[kept]], [np.zeros((len(kept), len(tasks)))]
        for place, task in enumerate(tasks):
            share = subset(task.targets, max(8, (most - len(kept)) // len(tasks)), seed)
            rows.append(task.rows[share])
            values.append(task.targets[share])
            column = np.zeros((len(share), len(tasks)))
            column[:, place] = 1.0
            columns.append(column)
        features = np.hstack([cube.features(np.vstack(rows)), np.vstack(columns)])
        return cls(Data(features, np.concatenate(values), Layout.of(cube, len(tasks))), kept)


def own_targets(values: Floats, *, borrowed: bool) -> Floats:
    """The job's own objectives as the model sees them.

    Args:
        borrowed: parents give the scale; a few own results, likely good ones, are put in its better half.
    """
    good = np.isfinite(values)
    if not borrowed:
        return model_targets(values)
    if not good.any():
        return np.ones(len(values))
    targets = model_targets(values)
    if good.sum() < FEW or np.ptp(values[good]) == 0:
        targets = np.where(good, 0.5 * targets - 0.5, 1.0)
    return targets


def subset(targets: Floats, most: int, seed: int) -> Ints:
    """Indices of at most `most` observations in order: the best half of them, and random others."""
    n = len(targets)
    if n <= most:
        return np.arange(n)
    order = np.argsort(targets, kind="stable")
    rest = order[most // 2 :]
    rng = np.random.default_rng([seed, n, most])
    return np.sort(np.concatenate([order[: most // 2], rng.choice(rest, most - most // 2, replace=False)]))


def first(seen: Seen, step: int) -> Seen:
    """The first m of n observations in launch order, m a multiple of `step`; all of them when those are too few.

    What is fitted to such a prefix stays the same for a while, and is worked out again from the history alone.
    """
    n = len(seen.values)
    m = n - n % max(1, step)
    if m == n or np.isfinite(seen.values[:m]).sum() < 2:
        return seen
    return Seen(seen.rows[:m], seen.values[:m], seen.waiting, seen.every)


class Fits:
    """Fits by the data they were made to. Losing the cache costs time and changes nothing."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._known: OrderedDict[bytes, Floats] = OrderedDict()
        self._lock = threading.Lock()

    def theta(self, data: Data, n: int, start: Floats | None = None) -> Floats:
        """Theta fitted to the data.

        Args:
            n: number of own observations, which frees the length scales.
            start: theta of nearly the same data, which is only adjusted.
        """
        digest = hashlib.sha256(repr((n, data.layout.group.tolist(), data.layout.kinds.tolist())).encode())
        digest.update(data.features.tobytes())
        digest.update(data.targets.tobytes())
        if start is not None:
            digest.update(start.tobytes())
        key = digest.digest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = fit(data, Prior.of(data.layout, n), start)
        with self._lock:
            self._known[key] = found
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return found
