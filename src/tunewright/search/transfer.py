"""Warm start: what earlier tuning jobs teach a new one.

IdenticalDataAndAlgorithm: the parents' results are the job's own; ranges may have changed, so rows are encoded
unclipped. TransferLearning: the objective is modelled as a weighted sum of what the parents' own models expect
and a part of the job's own, y(x) = sum_p w_p m_p(x) + f(x) with w_p ~ N(0, v_p) (Kennedy and O'Hagan 2000, eq. 1,
whose one weight is estimated; here they are integrated out: Rasmussen and Williams 2006, sec. 2.7).
The v_p are fitted: a parent that says nothing about the job is left out, one that says the contrary gets a
negative weight. Each parent's objectives are transformed for it alone: only their shape is carried over. With too
few results to judge by, the job goes where most parents expect the best, but for one trial in the centre. Length scales
are expected to be the parents' where the results are more probable so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from tunewright.core.history import History
from tunewright.core.spec import IDENTICAL
from tunewright.search.arrays import Floats
from tunewright.search.bayesian.model import Data, fit
from tunewright.search.bayesian.optimise import scatter
from tunewright.search.bayesian.posterior import Posterior, means
from tunewright.search.bayesian.priors import Layout, Prior
from tunewright.search.bayesian.transforms import model_targets
from tunewright.search.encode import Cube
from tunewright.search.parents import FromParents, Parent, read_parent

MOST_ROWS = 60
"""Rows kept of each parent in transfer learning: the best half, and others at random."""

_SALT = 4_000_037
_BASES, _BEST = 5, 20
"""Best rows of each parent that others are looked for near, and that are candidates themselves."""

_APART = 0.1
"""Maximum norm that a promising row keeps from what was tried."""


@dataclass(frozen=True, slots=True)
class Task:
    """A parent in transfer learning.

    Args:
        rows: shape (n, d).
        targets: transformed for this task alone, shape (n,).
        model: the parent's own posterior over the cube's features.
        lengths: log length scales of that model, shape (g,).
    """

    rows: Floats
    targets: Floats
    model: Posterior
    lengths: Floats


@dataclass(frozen=True, slots=True)
class Warm:
    """All parents of a job; one of the two is empty."""

    pooled: Parent
    tasks: tuple[Task, ...]


def make_task(parent: Parent, cube: Cube, seed: int) -> Task:
    """Thin a parent out and fit its own model."""
    targets = model_targets(parent.values)
    order = np.argsort(targets, kind="stable")
    if len(order) > MOST_ROWS:
        others = np.random.default_rng([seed, _SALT]).permutation(order[MOST_ROWS // 2 :])
        order = np.sort(np.concatenate([order[: MOST_ROWS // 2], others[: MOST_ROWS - MOST_ROWS // 2]]))
    rows, kept = parent.rows[order], targets[order]
    data = Data(cube.features(rows), kept, Layout.of(cube))
    theta = fit(data, Prior.of(data.layout, len(kept)))
    return Task(rows, kept, Posterior.of(data, theta), theta[: data.layout.groups])


def best_rows(task: Task, count: int) -> Floats:
    """The best rows of a parent, best first, shape (k, d) with k <= count."""
    return np.asarray(task.rows[np.argsort(task.targets, kind="stable")[:count]])


def promising_row(cube: Cube, tasks: Sequence[Task], tried: Floats, rng: np.random.Generator) -> Floats:
    """Where most parents expect the best, away from what was tried (n, d): a row.

    Candidates are the parents' best rows and others near them; the median of the parents' models counts, which a
    parent unlike the others does not move.
    """
    near = scatter(cube, cube.snap(np.vstack([best_rows(task, _BASES) for task in tasks])), rng)
    rows = np.vstack([*(cube.snap(best_rows(task, _BEST)) for task in tasks), near])
    allowed = cube.allowed(rows)
    rows = rows[allowed] if allowed.any() else rows
    expected = np.median(means([task.model for task in tasks], cube.features(rows)), axis=1)
    order = np.argsort(expected, kind="stable")
    free = cdist(rows[order], tried, "chebyshev").min(axis=1, initial=np.inf) > _APART
    return np.asarray(rows[order[free.argmax()]])


class WarmStarts:
    """The parents of jobs, read and fitted once."""

    def __init__(self) -> None:
        self._warm: FromParents[Warm] = FromParents(16)

    def of(self, history: History, cube: Cube) -> Warm:
        """What the parents of a history say in its cube."""
        return self._warm.of(history, lambda: _read(history, cube))


def _read(history: History, cube: Cube) -> Warm:
    spec = history.spec
    parents = [read_parent(parent, cube, parent.spec.sign) for parent in history.parents]
    empty = Parent(np.empty((0, cube.d)), np.empty(0))
    if spec.warm_start is not None and spec.warm_start.type == IDENTICAL:
        rows, values = [p.rows for p in parents], [p.values for p in parents]
        return Warm(Parent(np.vstack(rows), np.concatenate(values)) if parents else empty, ())
    return Warm(empty, tuple(make_task(parent, cube, spec.seed) for parent in parents if parent.useful))
