"""Bayesian search: initial design, fit, acquisition, in order."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tunewright.core.history import History
from tunewright.core.ports import Proposals
from tunewright.search.bayesian import design, floor, pending, wider
from tunewright.search.bayesian.acquisition import LogEI
from tunewright.search.bayesian.evidence import (
    COARSE,
    COARSE_LEAST,
    FINE,
    FIT_MOST,
    KEEP_MOST,
    Evidence,
    Fits,
    Seen,
    first,
)
from tunewright.search.bayesian.kernel import Matern
from tunewright.search.bayesian.model import Data
from tunewright.search.bayesian.optimise import Hunt
from tunewright.search.bayesian.posterior import Posterior
from tunewright.search.bayesian.priors import Kind
from tunewright.search.bayesian.transforms import unit_of
from tunewright.search.convergence import hopeless, stagnant
from tunewright.search.encode import Cube, Floats
from tunewright.search.random import Taken, fill, next_free, random_row
from tunewright.search.table import Table, Tables
from tunewright.search.threads import one_blas_thread
from tunewright.search.transfer import Task, Warm, WarmStarts, trusted

_SALT = 3_000_017
_NEAR = 400

TESTS = (1, 3)
"""Trials of a job with parents, by their place from 0, that are the first of a job without."""


class BayesianSearch:
    """A Gaussian process over the unit cube, expected improvement, and nothing remembered but cached fits."""

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = tables or Tables()
        self._fits = Fits()
        self._warm = WarmStarts()

    def propose(self, history: History, first: int, count: int) -> Proposals:
        """Configurations for trials `first` to `first + count - 1`, each knowing of those before it."""
        table = self._tables.of(history)
        with table.lock, one_blas_thread():
            turn = Turn(table, self._warm.of(history, table.cube), self._fits)
            answer = fill(table, first, count, turn.choose)
        return replace(answer, converged=turn.converged)


@dataclass(frozen=True, slots=True)
class Aim:
    """What one trial is chosen with: trusted parents, points not to propose, a value it must have, a smoothness."""

    tasks: list[Task]
    taken: Taken
    forced: tuple[int, int] | None
    matern: Matern


@dataclass(frozen=True, slots=True)
class Found:
    """A row, the log of its expected improvement in the model's units, and whether the model sees much noise."""

    row: Floats
    log_gain: float
    noisy: bool


class Turn:
    """One call of `propose`: the rows chosen so far join those under way."""

    def __init__(self, table: Table, warm: Warm, fits: Fits) -> None:
        self._table, self._warm, self._fits = table, warm, fits
        self.converged = False
        self._new: list[Floats] = []
        self._known = {table.cube.key(row): 1 for row in warm.pooled.rows}

    def choose(self, number: int, taken: Taken) -> Floats | None:
        """The row for a trial; parents' points only when no other is left, None when none is."""
        row = None
        if self._known:
            wider = Taken({**self._known, **taken.known})
            wider.new = taken.new
            row = self._row(number, wider)
        row = row if row is not None else self._row(number, taken)
        if row is not None:
            self._new.append(row)
        return row

    def _row(self, number: int, taken: Taken) -> Floats | None:
        cube, seed = self._table.cube, self._table.spec.seed
        seen = Seen.of(self._table, self._new, self._warm.pooled)
        tasks = trusted(self._warm.tasks, cube.features(seen.rows[seen.good]), seen.values[seen.good])
        initial = design.initial_size(cube.d)
        if len(seen.every) >= initial and len(seen.every) % 2 and not seen.blind:
            # Every other one of the later trials is the job's own: parents know where it is good, not how good.
            tasks = []
        pooled = len(self._warm.pooled.rows) > 0 and not seen.blind
        if not tasks and not pooled and len(seen.every) < initial:
            row = design.initial_rows(cube, seed)[len(seen.every)]
        elif tasks and len(seen.every) in TESTS:
            # Two of the first trials owe the parents nothing: what they say is put to the test.
            row = design.initial_rows(cube, seed)[len(seen.every) // 2]
        elif not tasks and seen.blind:
            row = design.far_row(cube, seen.every, seed, number)
        else:
            rng = np.random.default_rng([seed, number, _SALT])
            found = self._hunt(seen, tasks, taken, rng, initial)
            if found is not None:
                return found
            row = random_row(cube, seed, number)
        return free_row(cube, seed, number, row, taken)

    def _hunt(
        self, seen: Seen, tasks: list[Task], taken: Taken, rng: np.random.Generator, initial: int
    ) -> Floats | None:
        cube = self._table.cube
        forced = floor.due_level(cube, seen.every, initial, rng)
        aim = Aim(tasks, taken, forced, self._smoothness(seen, tasks))
        found = self._look(seen, aim, rng)
        if found is None:
            return None
        if forced is None and not tasks:
            if stagnant(seen.values, cube.d, model=True):
                self.converged |= hopeless(found.log_gain, unit_of(seen.values), seen.values)
            found = self._wider(seen, aim, rng, found)
        return found.row

    def _wider(self, seen: Seen, aim: Aim, rng: np.random.Generator, found: Found) -> Found:
        """What was found, or what a wider look finds when next to nothing is to be gained by it."""
        if found.noisy or len(seen.every) % 2:
            return found
        weights = wider.voices(seen.rows)
        if not wider.expects_little(found.log_gain, seen.values, weights):
            return found
        crowds = replace(seen, weights=weights)
        # The smoother covariance is surer of what lies between the trials, and sees sooner that nothing does.
        aim = replace(aim, matern=Matern.FIVE_HALVES)
        again = self._look(crowds, aim, rng)
        if again is not None and again.log_gain < math.log(wider.DONE):
            again = self._look(crowds, aim, rng, shorter=wider.SHORTER) or again
        return again or found

    def _look(self, seen: Seen, aim: Aim, rng: np.random.Generator, shorter: float = 1.0) -> Found | None:
        """The most promising free trial by one model of the results, its length scales multiplied with `shorter`."""
        cube, tasks = self._table.cube, aim.tasks
        evidence = Evidence.of(cube, seen, tasks, KEEP_MOST, self._table.spec.seed, aim.matern)
        theta = self._fitted(seen, tasks, aim.matern)[0].copy()
        # Categories are not told apart anew: those that always fail would be tried again.
        theta[: evidence.data.layout.groups][evidence.data.layout.kinds == Kind.NUMERIC] += math.log(shorter)
        posterior = Posterior.of(evidence.data, theta)
        noisy, own = posterior.noisy, len(evidence.kept)
        view = Views(cube, len(tasks))
        posterior = posterior.with_incumbent(self._eligible(seen, evidence, aim.forced, len(evidence.data.targets)))
        good = seen.rows[evidence.kept[np.argsort(posterior.fitted[:own], kind="stable")]]
        extra = np.vstack([np.empty((0, cube.d)), *(cube.snap(_best_rows(task, 40 // len(tasks))) for task in tasks)])
        if not len(good):
            # Nothing of its own yet: the best place by what the parents say together.
            means = posterior.predict(view(extra))[0][:, 0]
            good = extra[np.argsort(means, kind="stable")]
            if not len(seen.waiting):
                free = [row for row in good if cube.key(row) not in aim.taken]
                return Found(free[0], 0.0, noisy) if free else None
        if len(seen.waiting):
            posterior = pending.imagine(posterior, view(seen.waiting), rng, categorical=len(cube.categorical) > 0)
        near = np.vstack([seen.rows[-_NEAR:], seen.waiting])
        barren = floor.barren_levels(cube, seen.rows, seen.good)
        best = Hunt(cube, LogEI(posterior), view, aim.taken, near, aim.forced, barren).best(good, extra, rng)
        return None if best is None else Found(*best, noisy)

    def _smoothness(self, seen: Seen, tasks: list[Task]) -> Matern:
        """The rougher in numeric spaces, else that under which the results are most probable (both were measured)."""
        if not len(self._table.cube.categorical):
            return Matern.THREE_HALVES
        return min(Matern, key=lambda matern: self._fitted(seen, tasks, matern)[1])

    def _fitted(self, seen: Seen, tasks: list[Task], matern: Matern) -> tuple[Floats, float]:
        """Theta, fitted from scratch now and then and adjusted in between, both to prefixes of the observations.

        Also its negative log posterior density.
        """
        n = len(seen.values)
        coarse, fine = first(seen, max(COARSE_LEAST, n // COARSE)), first(seen, n // FINE)
        start = None
        if len(coarse.values) < len(fine.values):
            start = self._fits.theta(self._data(coarse, tasks, matern), len(coarse.values))
        return self._fits.fitted(self._data(fine, tasks, matern), len(fine.values), start)

    def _data(self, seen: Seen, tasks: list[Task], matern: Matern) -> Data:
        return Evidence.of(self._table.cube, seen, tasks, FIT_MOST, self._table.spec.seed, matern).data

    def _eligible(
        self, seen: Seen, evidence: Evidence, forced: tuple[int, int] | None, size: int
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which observations the incumbent is taken from: own ones, of a forced value where there are some."""
        among = np.zeros(size, dtype=bool)
        own = seen.good[evidence.kept]
        if not own.any():
            return ~among
        if forced is not None:
            of_level = own & (seen.rows[evidence.kept, forced[0]] == forced[1])
            own = of_level if of_level.any() else own
        among[: len(own)] = own
        return among


class Views:
    """Features of rows of the job itself: its cube's, and 0 in the column of every parent."""

    def __init__(self, cube: Cube, tasks: int) -> None:
        self._cube, self._tasks = cube, tasks

    def __call__(self, rows: Floats) -> Floats:
        features = self._cube.features(rows)
        return np.hstack([features, np.zeros((len(rows), self._tasks))]) if self._tasks else features


def _best_rows(task: Task, count: int) -> Floats:
    return task.rows[np.argsort(task.targets, kind="stable")[:count]]


def free_row(cube: Cube, seed: int, number: int, row: Floats, taken: Taken) -> Floats | None:
    """`row`, or random ones until one is free; None when a finite space is used up."""
    for attempt in range(1, 32):
        if cube.lawful(row) and cube.key(row) not in taken:
            return row
        row = random_row(cube, seed, number, attempt)
    return row if cube.size is None else next_free(cube, row, taken)
