"""Hyperband in extended mode: one model of the objective over configuration and epochs.

Every rung that a trial has passed gives an observation; its epoch is one more feature (`ladder`) with a length
scale of its own (Klein et al. 2017, "FABOLAS"; Klein et al. 2020, "MOBSTER"). Trials are chosen by expected
improvement at the full resource. A trial that successive halving would stop is spared while the model gives it
a chance to end as the best: early ranks say little where curves cross.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from tunewright.core.history import History
from tunewright.core.ports import Proposals
from tunewright.core.trial import StopCause, Verdict
from tunewright.search.bayesian import design, floor, pending
from tunewright.search.bayesian.acquisition import LogEI
from tunewright.search.bayesian.evidence import COARSE, COARSE_LEAST, FINE, KEEP_MOST, Fits
from tunewright.search.bayesian.ladder import Ladder
from tunewright.search.bayesian.optimise import Hunt
from tunewright.search.bayesian.posterior import Posterior
from tunewright.search.bayesian.strategy import Views, free_row
from tunewright.search.encode import Floats, Ints
from tunewright.search.hyperband import SuccessiveHalving
from tunewright.search.random import Taken, fill, random_row
from tunewright.search.table import State, Table, Tables
from tunewright.search.threads import one_blas_thread

FIT_MOST = 120
"""Observations that theta is fitted to: several of one trial say less than as many of different ones."""

SPARED = 0.1
"""A trial with this chance to end as the best is not stopped."""

_SALT = 5_000_011


class FidelitySearch:
    """A Gaussian process over configuration and epochs."""

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = tables or Tables()
        self._fits = Fits()
        self._halving = SuccessiveHalving()
        self._latest: tuple[bytes, Posterior, Ints] | None = None

    def propose(self, history: History, first: int, count: int) -> Proposals:
        """Configurations for trials `first` to `first + count - 1`, each knowing of those before it."""
        table = self._tables.of(history)
        with table.lock, one_blas_thread():
            ladder = Ladder.of(table, history)
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
        posterior, kept = self._posterior(ladder, seed)
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

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        """Successive halving's verdict, unless the model spares the trial."""
        verdict = self._halving.judge(history, number, upto)
        if not verdict.stop or verdict.cause is StopCause.MAX_RESOURCE:
            return verdict
        table = self._tables.of(history)
        with table.lock, one_blas_thread():
            chance = self._chance(table, Ladder.of(table, history), table.numbers.index(number))
        if chance is None or chance < SPARED:
            return verdict
        why = verdict.why.replace("stopped", "goes on", 1)
        return replace(verdict, stop=False, why=f"{why}; spared, with a chance of {chance:.0%} to end as the best")

    def _chance(self, table: Table, ladder: Ladder, place: int) -> float | None:
        """The probability that a trial ends better than the best expected end of all; None: nobody can tell."""
        owners, lines = np.unique(ladder.owner, return_index=True)
        if ladder.blind or len(owners) < design.initial_size(table.cube.d) or place not in owners:
            return None
        posterior, _ = self._posterior(ladder, table.spec.seed)
        means, deviations = posterior.predict(Views(table.cube, 1)(ladder.rows[lines]))
        mine = int(np.searchsorted(owners, place))
        return float(ndtr((means.min() - means[mine, 0]) / deviations[mine]))

    def _posterior(self, ladder: Ladder, seed: int) -> tuple[Posterior, Ints]:
        """The posterior, and which lines of the ladder it rests on; kept, since verdicts ask for it again."""
        parts = (ladder.rows, ladder.levels, ladder.values, ladder.owner, np.array([seed, ladder.trials]))
        key = b"".join(part.tobytes() for part in parts)
        known = self._latest
        if known is None or known[0] != key:
            data, kept = ladder.data(KEEP_MOST, seed)
            known = self._latest = (key, Posterior.of(data, self._theta(ladder, seed)), kept)
        return known[1], known[2]

    def _theta(self, ladder: Ladder, seed: int) -> Floats:
        """Fitted from scratch to the first trials, a round number of them, and adjusted to more in between."""
        trials = ladder.trials
        coarse = ladder.first(trials - trials % max(COARSE_LEAST, trials // COARSE))
        fine = ladder.first(trials - trials % max(1, trials // FINE))
        start = self._fit(coarse, seed) if len(coarse.values) < len(fine.values) else None
        return self._fit(fine, seed, start)

    def _fit(self, part: Ladder, seed: int, start: Floats | None = None) -> Floats:
        data, kept = part.data(FIT_MOST, seed)
        return self._fits.theta(data, len(kept), start)
