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

import math
import operator
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from tunewright.core.history import History, Record
from tunewright.core.space import CategoricalParameter, Space, Value
from tunewright.core.spec import JobSpec
from tunewright.search.bayesian.model import Data, fit
from tunewright.search.bayesian.optimise import scatter
from tunewright.search.bayesian.posterior import Posterior, means
from tunewright.search.bayesian.priors import Layout, Prior
from tunewright.search.bayesian.transforms import model_targets
from tunewright.search.encode import Cube, Floats
from tunewright.search.table import State, sign_of, state_of

IDENTICAL = "IdenticalDataAndAlgorithm"

MOST_ROWS = 60
"""Rows kept of each parent in transfer learning: the best half, and others at random."""

_SALT = 4_000_037
_BASES, _BEST = 5, 20
"""Best rows of each parent that others are looked for near, and that are candidates themselves."""

_APART = 0.1
"""Maximum norm that a promising row keeps from what was tried."""


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
    used = len(read_parent(parent, Cube(space), 1.0).rows)
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
    """The parents of the jobs asked about most recently, read and fitted once."""

    def __init__(self, most: int = 16) -> None:
        self._most = most
        self._known: OrderedDict[int, tuple[JobSpec, tuple[History, ...], list[int], Warm]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, history: History, cube: Cube) -> Warm:
        """What the parents of a history say in its cube."""
        versions = [parent.version for parent in history.parents]
        with self._lock:
            known = self._known.get(id(history.spec))
            same = known is not None and known[0] is history.spec and known[2] == versions
            # Parents are compared by identity: two of equal content would be read to the same end.
            if known is None or not same or not all(map(operator.is_, known[1], history.parents)):
                known = (history.spec, history.parents, versions, _read(history, cube))
                self._known[id(history.spec)] = known
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
            return known[3]


def _read(history: History, cube: Cube) -> Warm:
    spec = history.spec
    parents = [read_parent(parent, cube, sign_of(parent.spec)) for parent in history.parents]
    empty = Parent(np.empty((0, cube.d)), np.empty(0))
    if spec.warm_start is not None and spec.warm_start.type == IDENTICAL:
        rows, values = [p.rows for p in parents], [p.values for p in parents]
        return Warm(Parent(np.vstack(rows), np.concatenate(values)) if parents else empty, ())
    return Warm(empty, tuple(make_task(parent, cube, spec.seed) for parent in parents if parent.useful))
