"""Hyperband in extended mode: one model of the objective over configuration and epochs.

Every rung that a trial has passed gives an observation; its epoch is one more feature (`ladder`) with a length
scale of its own (Klein et al. 2017, "FABOLAS"; Klein et al. 2020, "MOBSTER"). Trials are chosen by expected
improvement at the full resource. A trial that successive halving would stop may be spared, when going on with it
promises more for each epoch than a new trial would: early ranks say little where curves cross.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import numpy as np

from tunewright.core.history import History
from tunewright.core.ports import Proposals
from tunewright.core.spec import Hyperband
from tunewright.core.trial import StopCause, Verdict
from tunewright.search.bayesian import design, floor, pending
from tunewright.search.bayesian.acquisition import LogEI
from tunewright.search.bayesian.evidence import COARSE, COARSE_LEAST, FINE, KEEP_MOST, Fits
from tunewright.search.bayesian.ladder import Ladder, full_resource
from tunewright.search.bayesian.optimise import Hunt, scatter
from tunewright.search.bayesian.posterior import Posterior
from tunewright.search.bayesian.strategy import Views, free_row
from tunewright.search.encode import Floats
from tunewright.search.hyperband import SuccessiveHalving
from tunewright.search.random import Taken, fill, random_row
from tunewright.search.table import State, Table, Tables
from tunewright.search.threads import one_blas_thread

FIT_MOST = 120
"""Observations that theta is fitted to: several of one trial say less than as many of different ones."""

SPARED_MOST = 1 / 3
"""The share of all epochs that spared trials may use: the rest is successive halving's, whatever is believed."""

_SALT, _RIVAL_SALT = 5_000_011, 5_000_017


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the model expects, with the observations that it rests on.

    Args:
        key: of the observations.
        posterior: its incumbent is not meant.
        rows: configurations seen, those with the best expected ends first, shape (k, d).
        means: their expected ends, ascending, shape (k,).
        full: the best expected end of the trials that were trained in full; infinite when there are none.
    """

    key: bytes
    posterior: Posterior
    rows: Floats
    means: Floats
    full: float


class FidelitySearch:
    """A Gaussian process over configuration and epochs."""

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = tables or Tables()
        self._fits = Fits()
        self._halving = SuccessiveHalving(from_two=True)
        self._latest: Outlook | None = None
        self._rival: tuple[bytes, float] | None = None

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
        elif len(every) < 2 * initial:
            # As many again at random: at the first rung trials are cheap, and there is more to choose from.
            row = random_row(cube, seed, number)
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
        outlook, view = self._outlook(ladder, seed), Views(cube, 1)
        # Nothing may have reached the full resource: the incumbent is what the model expects there.
        posterior = outlook.posterior.against(float(outlook.means[0]))
        live = np.vstack([table.rows[table.states == State.LIVE], every[len(table) :]])
        if len(live):
            posterior = pending.imagine(posterior, view(live), rng, categorical=len(cube.categorical) > 0)
        forced = floor.due_level(cube, every, design.initial_size(cube.d), rng)
        hunt = Hunt(cube, LogEI(posterior), view, taken, every[-400:], forced)
        found = hunt.best(outlook.rows, np.empty((0, cube.d)), rng)
        return None if found is None else found[0]

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        """Successive halving's verdict, unless the model spares the trial."""
        verdict = self._halving.judge(history, number, upto)
        if not verdict.stop or verdict.cause is StopCause.MAX_RESOURCE:
            return verdict
        most = full_resource(history, history.spec.hyperband or Hyperband())
        table = self._tables.of(history)
        with table.lock, one_blas_thread():
            promise = self._promise(
                table, Ladder.of(table, history), table.numbers.index(number), max(1, most - upto), most
            )
        if promise < 1.0:
            return verdict
        why = verdict.why.replace("stopped", "goes on", 1)
        return replace(verdict, stop=False, why=f"{why}; spared: an epoch promises {promise:.2g} times a new job's")

    def _promise(self, table: Table, ladder: Ladder, place: int, left: int, most: int) -> float:
        """A trial's expected improvement for each epoch left over that of a new trial; 0 when it may not be spared."""
        if ladder.blind or len(table) <= design.initial_size(table.cube.d) or place not in ladder.owner:
            return 0.0
        spared, spent = ladder.spared_epochs(most, table.states == State.LIVE, place)
        if spared + left > SPARED_MOST * (spent + left):
            return 0.0
        outlook, view = self._outlook(ladder, table.spec.seed), Views(table.cube, 1)
        if not math.isfinite(outlook.full):
            return 0.0
        # Against what has been trained in full: a trial is no better for being expected to be the best.
        worth = LogEI(outlook.posterior.against(outlook.full))
        mine = float(worth(view(table.rows[place][None]))[0])
        return math.exp(min(50.0, mine - self._best_new(table, outlook, worth, view))) * most / left

    def _best_new(self, table: Table, outlook: Outlook, worth: LogEI, view: Views) -> float:
        """Log expected improvement of the best new trial, as far as candidates show it."""
        if self._rival is None or self._rival[0] != outlook.key:
            rng = np.random.default_rng([table.spec.seed, len(table), _RIVAL_SALT])
            candidates = scatter(table.cube, outlook.rows, rng)
            candidates = candidates[table.cube.allowed(candidates)]
            self._rival = (outlook.key, float(worth(view(candidates)).max(initial=-math.inf)))
        return self._rival[1]

    def _outlook(self, ladder: Ladder, seed: int) -> Outlook:
        """Kept, since verdicts ask for it again."""
        parts = (ladder.rows, ladder.levels, ladder.values, ladder.owner, ladder.shown, np.array([seed, ladder.trials]))
        key = hashlib.sha256(b"".join(part.tobytes() for part in parts)).digest()
        known = self._latest
        if known is None or known.key != key:
            data, kept = ladder.data(KEEP_MOST, seed)
            posterior, view = Posterior.of(data, self._theta(ladder, seed)), Views(ladder.cube, 1)
            rows, places = np.unique(ladder.rows[kept], axis=0, return_inverse=True)
            means = posterior.predict(view(rows))[0][:, 0]
            full = means[places.ravel()[ladder.levels[kept] == 0.0]]
            order = np.argsort(means, kind="stable")
            known = Outlook(key, posterior, rows[order], means[order], float(full.min(initial=math.inf)))
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
