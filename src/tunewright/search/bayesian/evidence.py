"""What there is to learn from when a trial is proposed, and the model fitted to it."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunewright.search.arrays import Bools, Floats, Ints
from tunewright.search.bayesian.model import FEW_STEPS, STEPS, Data, Loss, fit
from tunewright.search.bayesian.posterior import Posterior, means
from tunewright.search.bayesian.priors import Layout, Prior
from tunewright.search.bayesian.transforms import model_targets
from tunewright.search.encode import Cube
from tunewright.search.parents import Parent
from tunewright.search.table import State, Table

FIT_MOST = 250
"""Observations that theta is fitted to; in longer histories the best half and random others."""

KEEP_MOST = 700
"""Observations that the posterior is conditioned on."""

COARSE, COARSE_LEAST = 8, 8
"""Theta is fitted from scratch whenever the observations have grown by one in `COARSE`, or by `COARSE_LEAST`."""

FINE = 60
"""In between it is adjusted whenever they have grown by one in so many."""

COUPLED_MOST = 6
"""Numeric parameters up to which their axes may be coupled: with more of them the results were too few to say how."""

MOST_FITS = 64
"""Fits that are kept."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The trials of a job.

    Args:
        rows: observed trials, those pooled from identical parents first, shape (n, d).
        values: objectives to minimise, NaN for failures, shape (n,).
        waiting: rows of pending trials, shape (p, d).
        every: rows of the job's own trials in launch order, those under way included.
        weights: how much each observation counts where objectives are transformed, shape (n,); None: all the same.
    """

    rows: Floats
    values: Floats
    waiting: Floats
    every: Floats
    weights: Floats | None = None

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
    def good(self) -> Bools:
        return np.isfinite(self.values)

    @property
    def blind(self) -> bool:
        """Whether there are not even two different results."""
        found = self.values[self.good]
        return len(found) < 2 or bool(found.min() == found.max())

    def first(self, m: int) -> Seen:
        """The first m observations, and all that is under way."""
        weights = None if self.weights is None else self.weights[:m]
        return replace(self, rows=self.rows[:m], values=self.values[:m], weights=weights)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The model's data.

    Args:
        kept: which of `Seen.rows` the lines of the data are.
    """

    data: Data
    kept: Ints

    @classmethod
    def of(
        cls,
        cube: Cube,
        seen: Seen,
        most: int,
        seed: int,
        models: Sequence[Posterior],
    ) -> Evidence:
        """At most `most` observations of a job, and what the models of its parents expect of them."""
        targets = model_targets(seen.values, seen.weights)
        kept = subset(targets, most, seed)
        features = cube.features(seen.rows[kept])
        basis = means(models, features) if models else None
        coupled = not models and not len(cube.categorical) and 2 <= cube.d <= COUPLED_MOST
        layout = Layout.of(cube, basis=len(models), coupled=coupled)
        return cls(Data(features, targets[kept], layout, basis=basis), kept)


def subset(targets: Floats, most: int, seed: int) -> Ints:
    """Indices of at most `most` observations in order: the best half of them, and random others."""
    n = len(targets)
    if n <= most:
        return np.arange(n)
    order = np.argsort(targets, kind="stable")
    rest = order[most // 2 :]
    rng = np.random.default_rng([seed, n, most])
    return np.sort(np.concatenate([order[: most // 2], rng.choice(rest, most - most // 2, replace=False)]))


def prefix(seen: Seen, step: int) -> Seen:
    """The first m of n observations in launch order, m a multiple of `step`; all of them when those are too few.

    What is fitted to such a prefix stays the same for a while, and is worked out again from the history alone.
    """
    n = len(seen.values)
    m = n - n % max(1, step)
    if m == n or np.isfinite(seen.values[:m]).sum() < 2:
        return seen
    return seen.first(m)


class Fits:
    """Fits by the data they were made to. Losing the cache costs time and changes nothing."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Floats, float]] = OrderedDict()
        self._lock = threading.Lock()

    def theta(self, data: Data, n: int, start: Floats | None = None, lengths: Floats | None = None) -> Floats:
        """Theta fitted to the data.

        Args:
            n: number of own observations, which frees the length scales.
            start: theta of nearly the same data, which is only adjusted.
            lengths: as in `Prior.of`.
        """
        return self.fitted(data, n, start, lengths)[0]

    def fitted(
        self, data: Data, n: int, start: Floats | None = None, lengths: Floats | None = None
    ) -> tuple[Floats, float]:
        """Theta as in `theta`, and its negative log posterior density up to a constant."""
        layout = data.layout
        shape = (n, layout.group.tolist(), layout.kinds.tolist(), layout.coupled, data.matern)
        digest = hashlib.sha256(repr(shape).encode())
        for place, part in enumerate((data.features, data.targets, data.basis, start, lengths)):
            if part is not None:
                digest.update(bytes([place]) + part.tobytes())
        key = digest.digest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        prior = Prior.of(layout, n, lengths)
        if layout.coupled:
            found = self._coupled(data, prior, n, start)
        else:
            theta = fit(data, prior, start, STEPS if start is None else FEW_STEPS)
            found = theta, Loss(data, prior)(theta)[0]
        with self._lock:
            self._known[key] = found
            while len(self._known) > MOST_FITS:
                self._known.popitem(last=False)
        return found

    def _coupled(self, data: Data, prior: Prior, n: int, start: Floats | None) -> tuple[Floats, float]:
        """The fit with couplings, or with all of them 0 where they do not make the results more probable by enough."""
        own = data.layout.couplings
        straight = replace(data, layout=replace(data.layout, coupled=False))
        theta, loss = self.fitted(straight, n, None if start is None else start[: own.start])
        theta = np.concatenate([theta, np.zeros(len(prior.mean) - own.start)])
        steps, begin = (STEPS, theta) if start is None else (FEW_STEPS, start)
        other, loss_of = fit(data, prior, begin, steps), Loss(data, prior)
        cost = loss_of(other)[0] + loss_of.occam(other)
        return (other, cost) if cost < loss else (theta, loss)
