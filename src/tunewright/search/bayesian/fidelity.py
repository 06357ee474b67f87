"""Proposals for Hyperband in extended mode: one model of the objective over configuration and epochs.

Every rung that a trial has passed gives an observation; its epoch is one more feature, log(R / r) / log R, 0 at
the full resource R and 1 at one epoch, with a length scale of its own (Klein et al. 2017, "FABOLAS"; Klein et
al. 2020, "MOBSTER"). Trials are chosen by expected improvement at the full resource.
"""

from __future__ import annotations

import math

import numpy as np

from tunewright.core.history import History, Record
from tunewright.core.ports import Proposals
from tunewright.core.spec import Hyperband
from tunewright.search.bayesian import design, floor, pending
from tunewright.search.bayesian.acquisition import LogEI
from tunewright.search.bayesian.evidence import FIT_MOST, KEEP_MOST, Fits, subset
from tunewright.search.bayesian.model import Data
from tunewright.search.bayesian.optimise import Hunt
from tunewright.search.bayesian.posterior import Posterior
from tunewright.search.bayesian.priors import Layout
from tunewright.search.bayesian.strategy import Views, free_row
from tunewright.search.bayesian.transforms import model_targets
from tunewright.search.curves import Curve
from tunewright.search.encode import Floats
from tunewright.search.hyperband import rungs
from tunewright.search.random import Taken, fill, random_row
from tunewright.search.table import State, Table, Tables, state_of
from tunewright.search.threads import one_blas_thread

_SALT = 5_000_011


class FidelitySearch:
    """A Gaussian process over configuration and epochs."""

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = tables or Tables()
        self._fits = Fits()

    def propose(self, history: History, first: int, count: int) -> Proposals:
        """Configurations for trials `first` to `first + count - 1`, each knowing of those before it."""
        table = self._tables.of(history)
        with table.lock, one_blas_thread():
            ladder = Ladder(table, history)
            new: list[Floats] = []

            def choose(number: int, taken: Taken) -> Floats | None:
                row = self._row(table, ladder, number, taken, new)
                if row is not None:
                    new.append(row)
                return row

            return fill(table, first, count, choose)

    def _row(self, table: Table, ladder: Ladder, number: int, taken: Taken, new: list[Floats]) -> Floats | None:
        cube, seed = table.cube, table.spec.seed
        every = np.vstack([table.rows, np.array(new).reshape(len(new), cube.d)])
        initial = design.initial_size(cube.d)
        if len(every) < initial:
            row = design.initial_rows(cube, seed)[len(every)]
        elif ladder.blind:
            row = design.far_row(cube, every, seed, number)
        else:
            found = self._hunt(table, ladder, every, taken, np.random.default_rng([seed, number, _SALT]))
            if found is not None:
                return found
            row = random_row(cube, seed, number)
        return free_row(cube, seed, number, row, taken)

    def _hunt(
        self, table: Table, ladder: Ladder, every: Floats, taken: Taken, rng: np.random.Generator
    ) -> Floats | None:
        cube, seed = table.cube, table.spec.seed
        targets = model_targets(ladder.values)
        fitted, kept = subset(targets, FIT_MOST, seed), subset(targets, KEEP_MOST, seed)
        theta = self._fits.theta(ladder.data(targets, fitted), len(fitted))
        posterior = Posterior.of(ladder.data(targets, kept), theta)
        view = Views(cube, 1)
        good = np.unique(ladder.rows[kept], axis=0)
        means = posterior.predict(view(good))[0][:, 0]
        # Nothing may have reached the full resource: the incumbent is what the model expects there.
        posterior = posterior.against(float(means.min()))
        live = np.vstack([table.rows[table.states == State.LIVE], every[len(table) :]])
        if len(live):
            posterior = pending.imagine(posterior, view(live), rng, categorical=len(cube.categorical) > 0)
        forced = floor.due_level(cube, every, design.initial_size(cube.d), rng)
        hunt = Hunt(cube, LogEI(posterior), view, taken, every[-400:], forced)
        found = hunt.best(good[np.argsort(means, kind="stable")], np.empty((0, cube.d)), rng)
        return None if found is None else found[0]


class Ladder:
    """What was observed at each rung.

    Attributes:
        rows: of the configuration, shape (n, d); one line for each rung that a trial passed.
        levels: log(R / epoch) / log R, shape (n,).
        values: objectives to minimise, NaN for trials that failed, shape (n,).
    """

    def __init__(self, table: Table, history: History) -> None:
        self._table = table
        settings = history.spec.hyperband or Hyperband()
        self._most = settings.max_resource or max(
            (max(r.curve, default=1) for r in history.records.values()), default=1
        )
        rows, levels, values = [], [], []
        for place, record in enumerate(history.records.values()):
            if not np.isfinite(table.rows[place]).all():
                continue
            for epoch, value in self._observations(record, settings):
                rows.append(table.rows[place])
                levels.append(self._level(epoch))
                values.append(table.sign * value)
        self.rows = np.array(rows).reshape(len(rows), table.cube.d)
        self.levels = np.array(levels)
        self.values = np.array(values)

    @property
    def blind(self) -> bool:
        """Whether there are not even two different results."""
        finite = self.values[np.isfinite(self.values)]
        return len(finite) < 2 or float(np.ptp(finite)) == 0.0

    def data(self, targets: Floats, kept: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Data:
        cube = self._table.cube
        features = np.hstack([cube.features(self.rows[kept]), self.levels[kept][:, None]])
        return Data(features, targets[kept], Layout.of(cube, 1))

    def _observations(self, record: Record, settings: Hyperband) -> list[tuple[int, float]]:
        if state_of(record) is State.BAD:
            return [(self._most, math.nan)]
        curve = Curve.of(record)
        epochs = set(rungs(settings, curve.last))
        if not record.live and curve.last:
            epochs.add(curve.last)
        found = [(epoch, curve.value_at(epoch)) for epoch in sorted(epochs)]
        if not found and record.value is not None:
            found = [(self._most, record.value)]
        return [(epoch, value) for epoch, value in found if value is not None]

    def _level(self, epoch: int) -> float:
        if self._most <= 1:
            return 0.0
        return max(0.0, math.log(self._most / epoch)) / math.log(self._most)
