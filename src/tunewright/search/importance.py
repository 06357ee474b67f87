"""Which parameters matter: by the model, with a check that needs no model.

The model's answer is the total effect of each parameter on the posterior mean over the whole cube (Jansen 1999;
Saltelli et al. 2010, table 2f), so that interactions count. The check is the share of the variance of the
objective's ranks that groups of values of one parameter explain, less what chance explains. Both are scaled to
sum to 1. Where the two disagree, the sample is small or one-sided, and neither should be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunewright.core.history import History
from tunewright.search.arrays import Floats
from tunewright.search.bayesian.evidence import FIT_MOST, subset
from tunewright.search.bayesian.model import Data, fit
from tunewright.search.bayesian.posterior import Posterior
from tunewright.search.bayesian.priors import Layout, Prior
from tunewright.search.bayesian.transforms import model_targets
from tunewright.search.encode import Cube
from tunewright.search.table import State, Table
from tunewright.search.threads import one_blas_thread

LEAST = 5
"""Finite results below which nothing is said."""

_SAMPLES = 1024
_GROUPS = 5


@dataclass(frozen=True, slots=True)
class Importance:
    """One parameter's part in the objective.

    Args:
        share: by the model, 0 to 1; all shares sum to 1, or are 0 when there is nothing to tell.
        check: the same without a model.
    """

    name: str
    share: float
    check: float


def importance(history: History) -> list[Importance]:
    """The parameters of a history with one definition, the most important first.

    With fewer than 5 finite results, or results that are all equal, every share is 0. A parameter that never
    varied has share 0. Trials that failed, diverged or ended in an infinite value are left out: how bad a
    place they stand for is nobody's measurement, and shares of variance would rest on a guess.
    """
    table = Table(history.spec)
    table.update(history)
    cube = table.cube
    usable = np.isfinite(table.rows).all(axis=1)
    usable &= table.states == State.GOOD
    rows, values = table.rows[usable], table.values[usable]
    zeros = np.zeros(cube.d)
    if len(values) < LEAST or np.ptp(values) == 0:
        shares = checks = zeros
    else:
        varied = np.ptp(rows, axis=0) > 0
        targets = model_targets(values)
        with one_blas_thread():
            shares = _scaled(np.where(varied, _total_effects(cube, rows, targets, history.spec.seed), 0.0))
        checks = _scaled(np.where(varied, _explained(cube, rows, targets), 0.0))
    listed = [Importance(n, float(s), float(c)) for n, s, c in zip(cube.names, shares, checks, strict=True)]
    return sorted(listed, key=lambda entry: -entry.share)


def _scaled(effects: Floats) -> Floats:
    total = float(effects.sum())
    return effects / total if total > 0 else np.zeros(len(effects))


def _total_effects(cube: Cube, rows: Floats, targets: Floats, seed: int) -> Floats:
    """Mean squared change of the posterior mean when one parameter is drawn anew, shape (d,)."""
    kept = subset(targets, FIT_MOST, seed)
    data = Data(cube.features(rows[kept]), targets[kept], Layout.of(cube))
    posterior = Posterior.of(data, fit(data, Prior.of(data.layout, len(kept))))
    rng = np.random.default_rng(seed)
    one, other = cube.draw(rng.random((_SAMPLES, cube.d))), cube.draw(rng.random((_SAMPLES, cube.d)))
    base = posterior.predict(cube.features(one))[0]
    effects = np.empty(cube.d)
    for j in range(cube.d):
        mixed = one.copy()
        mixed[:, j] = other[:, j]
        mixed = cube.canonical(mixed)
        effects[j] = 0.5 * float(np.mean(np.square(posterior.predict(cube.features(mixed))[0] - base)))
    return effects


def _explained(cube: Cube, rows: Floats, targets: Floats) -> Floats:
    """Adjusted correlation ratio of the objective's ranks by groups of each parameter's values, shape (d,)."""
    ranks = ranks_of(targets)
    total = float(np.sum(np.square(ranks - ranks.mean())))
    n, found = len(ranks), np.zeros(cube.d)
    if total == 0:
        return found
    for j in range(cube.d):
        column = rows[:, j]
        if cube.is_categorical[j] or len(np.unique(column)) <= _GROUPS:
            _, group = np.unique(column, return_inverse=True)
        else:
            group = np.minimum((ranks_of(column) * _GROUPS / n).astype(np.int64), _GROUPS - 1)
        counts = np.bincount(group)
        used = counts > 0
        means = np.bincount(group, ranks)[used] / counts[used]
        between = float(np.sum(counts[used] * np.square(means - ranks.mean()))) / total
        chance = (used.sum() - 1) / (n - 1)
        found[j] = max(0.0, (between - chance) / (1 - chance)) if chance < 1 else 0.0
    return found


def ranks_of(values: Floats) -> Floats:
    """Ranks from 0, ties sharing their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.asarray((first + 0.5 * (counts - 1))[place])
