"""Hyperband's short trials in extended mode: one model of the objective over configuration and epochs.

Every rung that a trial has passed gives an observation; its epoch is one more feature (`ladder`) with a length
scale of its own (Klein et al. 2017, "FABOLAS"; Klein et al. 2020, "MOBSTER"). Trials are chosen by expected
improvement at the full resource.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from tunewright.core.history import History
from tunewright.search.arrays import Floats
from tunewright.search.bayesian import design, floor
from tunewright.search.bayesian.acquisition import LogEI, OptimumPrior
from tunewright.search.bayesian.evidence import COARSE, COARSE_LEAST, FINE, KEEP_MOST, Fits
from tunewright.search.bayesian.ladder import Ladder
from tunewright.search.bayesian.optimise import NEAR, Maximiser
from tunewright.search.bayesian.posterior import Posterior
from tunewright.search.bayesian.strategy import free_row
from tunewright.search.encode import Cube
from tunewright.search.random import Taken, random_row
from tunewright.search.table import State, Table

FIT_MOST = 120
"""Observations that theta is fitted to: several of one trial say less than as many of different ones."""

_SALT = 5_000_011


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the model expects, with the observations that it rests on.

    Args:
        key: of the observations.
        posterior: its incumbent is not meant.
        rows: configurations seen, those with the best expected ends first, shape (k, d).
        means: their expected ends, ascending, shape (k,).
    """

    key: bytes
    posterior: Posterior
    rows: Floats
    means: Floats


class FidelitySearch:
    """Chooses trials by a Gaussian process over configuration and epochs."""

    def __init__(self) -> None:
        self._fits = Fits()
        self._latest: Outlook | None = None

    def chooser(self, table: Table, history: History) -> Callable[[int, Taken, list[Floats]], Floats | None]:
        """What finds the row for a trial, given the points that are taken and the rows chosen just before."""
        ladder = Ladder.of(table, history)
        return lambda number, taken, new: self._row(table, ladder, number, taken, new)

    def _row(self, table: Table, ladder: Ladder, number: int, taken: Taken, new: list[Floats]) -> Floats | None:
        cube, seed = table.cube, table.spec.seed
        every = np.vstack([table.rows, np.array(new).reshape(len(new), cube.d)])
        initial = design.initial_size(cube.d)
        if len(every) < initial:
            row = design.initial_rows(cube, seed)[len(every)]
        elif len(every) < 2 * initial:
            # As many again at random: at the first rung trials are cheap, and there is more to choose from.
            row = random_row(cube, seed, number)
        elif ladder.blind:
            row = design.far_row(cube, every, seed, number)
        else:
            found = self._by_model(table, ladder, every, taken, np.random.default_rng([seed, number, _SALT]))
            if found is not None:
                return found
            row = random_row(cube, seed, number)
        return free_row(cube, seed, number, row, taken)

    def _by_model(
        self, table: Table, ladder: Ladder, every: Floats, taken: Taken, rng: np.random.Generator
    ) -> Floats | None:
        cube, seed = table.cube, table.spec.seed
        outlook, view = self._outlook(ladder, seed), partial(end_features, cube)
        # Nothing may have reached the full resource: the incumbent is what the model expects there.
        posterior = outlook.posterior.with_incumbent(float(outlook.means[0]))
        live = np.vstack([table.rows[table.states == State.LIVE], every[len(table) :]])
        if len(live):
            posterior = posterior.believing(view(live))
        forced = floor.due_level(cube, every, design.initial_size(cube.d), rng)
        worth = LogEI(posterior, OptimumPrior.after(ladder.trials, cube.column[~cube.is_categorical]))
        maximiser = Maximiser(cube, worth, view, taken, every[-NEAR:], forced)
        found = maximiser.best(outlook.rows, np.empty((0, cube.d)), rng)
        return None if found is None else found[0]

    def _outlook(self, ladder: Ladder, seed: int) -> Outlook:
        """What the model expects; kept, since every trial of a batch asks for it."""
        parts = (ladder.rows, ladder.levels, ladder.values, ladder.owner, ladder.shown, np.array([seed, ladder.trials]))
        key = hashlib.sha256(b"".join(part.tobytes() for part in parts)).digest()
        known = self._latest
        if known is None or known.key != key:
            data, kept = ladder.data(KEEP_MOST, seed)
            posterior = Posterior.of(data, self._theta(ladder, seed))
            rows = np.unique(ladder.rows[kept], axis=0)
            means = posterior.predict(end_features(ladder.cube, rows))[0]
            order = np.argsort(means, kind="stable")
            known = Outlook(key, posterior, rows[order], means[order])
            self._latest = known
        return known

    def _theta(self, ladder: Ladder, seed: int) -> Floats:
        """Fitted from scratch to the first trials, a round number of them, and adjusted to more in between.

        The latest trial is left out: what it shows from mark to mark would have theta fitted anew each time.
        """
        trials = max(1, ladder.trials - 1)
        coarse = ladder.first(trials - trials % max(COARSE_LEAST, trials // COARSE))
        fine = ladder.first(trials - trials % max(1, trials // FINE))
        start = self._fit(coarse, seed) if len(coarse.values) < len(fine.values) else None
        return self._fit(fine, seed, start)

    def _fit(self, part: Ladder, seed: int, start: Floats | None = None) -> Floats:
        data, kept = part.data(FIT_MOST, seed)
        return self._fits.theta(data, len(kept), start)


def end_features(cube: Cube, rows: Floats) -> Floats:
    """Features of rows (n, d) at the full resource, where the column of the epoch is 0: shape (n, F + 1)."""
    return np.hstack([cube.features(rows), np.zeros((len(rows), 1))])
