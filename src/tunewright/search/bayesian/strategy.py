"""Bayesian search: initial design, fit, acquisition, in order."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tunewright.core.history import History
from tunewright.core.ports import Proposals
from tunewright.search.arrays import Bools, Floats
from tunewright.search.bayesian import design, floor, wider
from tunewright.search.bayesian.acquisition import LogEI, OptimumPrior
from tunewright.search.bayesian.evidence import (
    COARSE,
    COARSE_LEAST,
    FINE,
    FIT_MOST,
    KEEP_MOST,
    Evidence,
    Fits,
    Seen,
    prefix,
)
from tunewright.search.bayesian.kernel import Matern
from tunewright.search.bayesian.optimise import NEAR, Maximiser
from tunewright.search.bayesian.posterior import Posterior
from tunewright.search.bayesian.priors import Kind
from tunewright.search.bayesian.transforms import step_of, unit_of
from tunewright.search.convergence import hopeless, stagnant
from tunewright.search.encode import Cube
from tunewright.search.random import Taken, fill, next_free, random_row, sparing
from tunewright.search.table import Table, Tables
from tunewright.search.threads import one_blas_thread
from tunewright.search.transfer import Warm, WarmStarts, best_rows, promising_row

_SALT = 3_000_017
DESIGN_MOST = 100
"""With more trials than these a search is past its beginning."""

TEST = 1
"""By its place from 0, the one trial of a job with parents that is the first of the initial design: the centre."""

FEW = 3
"""With fewer results of its own a job with parents goes where these were best."""

MANY = 60
"""From so many results on the length scales of parents are not asked for."""

LUCK = 1e-5
"""Expected gain, in the model's units, below which the best value of noisy results is taken for luck."""


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
            batch = Batch(table, self._warm.of(history, table.cube), self._fits)
            answer = fill(table, first, count, batch.choose)
        return replace(answer, converged=batch.converged)


@dataclass(frozen=True, slots=True)
class Aim:
    """What one trial is chosen with: points not to propose, a value it must have, a smoothness."""

    taken: Taken
    forced: tuple[int, int] | None
    matern: Matern


@dataclass(frozen=True, slots=True)
class Found:
    """A row, the log of what it is worth in the model's units, and whether the model sees much noise."""

    row: Floats
    log_gain: float
    noisy: bool


class Batch:
    """One call of `propose`: the rows chosen so far join those under way.

    Args:
        whole: the table has all that the search was told, and not a part of its trials.
    """

    def __init__(self, table: Table, warm: Warm, fits: Fits, *, whole: bool = True) -> None:
        self._table, self._warm, self._fits, self._whole = table, warm, fits, whole
        self.converged = False
        self._new: list[Floats] = []
        self._models = [task.model for task in warm.tasks]
        shown = [np.mean([task.lengths for task in warm.tasks], axis=0)] if warm.tasks else []
        self._lengths: list[Floats | None] = [None, *shown]
        self._known = {table.cube.key(row) for row in warm.pooled.rows}
        self._kept: dict[tuple[int, int, bool], Evidence] = {}

    def choose(self, number: int, taken: Taken) -> Floats | None:
        """The row for a trial; parents' points only when no other is left, None when none is."""
        row = sparing(self._known, taken, lambda all_taken: self._row(number, all_taken))
        if row is not None:
            self._new.append(row)
        return row

    def _row(self, number: int, taken: Taken) -> Floats | None:
        cube, seed = self._table.cube, self._table.spec.seed
        seen, tasks = Seen.of(self._table, self._new, self._warm.pooled), self._warm.tasks
        place, initial = len(seen.every), design.initial_size(cube.d)
        pooled = len(self._warm.pooled.rows) > 0 and not seen.blind
        cold = not tasks and not pooled
        rng = np.random.default_rng([seed, number, _SALT])
        if cold and place < initial:
            row = design.initial_rows(cube, seed)[place]
        elif tasks and place == TEST:
            row = design.initial_rows(cube, seed)[0]
        elif tasks and seen.good.sum() < FEW and place < 2 * initial:
            row = promising_row(cube, tasks, seen.every, rng)
        elif cold and (unseen := self._unseen(seen, initial)) is not None:
            row = unseen
        elif seen.blind:
            self.converged |= bool(seen.good.sum() > 1) and stagnant(self._own(seen), cube.d, model=False)
            row = design.far_row(cube, seen.every, seed, number)
        else:
            found = self._by_model(seen, taken, rng, initial)
            if found is not None:
                return found
            row = random_row(cube, seed, number)
        return free_row(cube, seed, number, row, taken)

    def _unseen(self, seen: Seen, initial: int) -> Floats | None:
        """A row of the initial design where nobody has looked, while all that was told lies in a few places."""
        if not self._whole or len(seen.every) > DESIGN_MOST or round(wider.crowd_weights(seen.every).sum()) >= initial:
            return None
        cube = self._table.cube
        for row in design.initial_rows(cube, self._table.spec.seed):
            if cube.lawful(row) and cube.gaps(seen.every, row).max(axis=1).min() > wider.RADIUS:
                return np.asarray(row)
        return None

    def _own(self, seen: Seen) -> Floats:
        """The job's own results within its ranges."""
        first = len(self._warm.pooled.values)
        return seen.values[first:][self._table.cube.inside(seen.rows[first:])]

    def _by_model(self, seen: Seen, taken: Taken, rng: np.random.Generator, initial: int) -> Floats | None:
        cube = self._table.cube
        forced = floor.due_level(cube, seen.every, initial, rng)
        aim = Aim(taken, forced, self._smoothness(seen))
        found = self._look(seen, aim, rng)
        if found is None:
            return None
        if forced is None:
            inside = cube.inside(seen.rows)
            if stagnant(self._own(seen), cube.d, model=True) and (seen.good & inside).any():
                self.converged |= hopeless(found.log_gain, unit_of(seen.values), seen.values[inside])
        if found.noisy and found.log_gain < math.log(LUCK):
            # Where nothing can be as good as a lucky value, improvement on it is expected where least is known.
            found = self._look(seen, aim, rng, by_mean=True) or found
        elif forced is None:
            found = self._wider(seen, aim, rng, found)
        return found.row

    def _wider(self, seen: Seen, aim: Aim, rng: np.random.Generator, found: Found) -> Found:
        """What was found, or what a wider look finds when next to nothing is to be gained by it."""
        if found.noisy or len(seen.every) % 2:
            return found
        weights = wider.crowd_weights(seen.rows)
        if not wider.expects_little(found.log_gain, seen.values, weights):
            return found
        crowds = replace(seen, weights=weights)
        # The smoother covariance is surer of what lies between the trials, and sees sooner that nothing does.
        aim = replace(aim, matern=Matern.FIVE_HALVES)
        again = self._look(crowds, aim, rng)
        if again is not None and again.log_gain < math.log(wider.DONE):
            again = self._look(crowds, aim, rng, shorter=wider.SHORTER) or again
        return again or found

    def _look(
        self, seen: Seen, aim: Aim, rng: np.random.Generator, shorter: float = 1.0, *, by_mean: bool = False
    ) -> Found | None:
        """The most promising free trial by one model of the results, its length scales multiplied with `shorter`.

        Args:
            by_mean: the incumbent is the best mean, however noisy the results are.
        """
        cube, tasks = self._table.cube, self._warm.tasks
        evidence = self._evidence(seen, KEEP_MOST, aim.matern)
        theta = self._fitted(seen, aim.matern)[0].copy()
        # Categories are not told apart anew: those that always fail would be tried again.
        theta[: evidence.data.layout.groups][evidence.data.layout.kinds == Kind.NUMERIC] += math.log(shorter)
        posterior = Posterior.of(evidence.data, theta, self._models)
        noisy = posterior.noisy
        among = self._eligible(seen, evidence, aim.forced)
        posterior = posterior.with_incumbent_among(among, by_mean=by_mean)
        # Where objectives come in steps, an improvement by less than one is none.
        step = step_of(evidence.data.targets[seen.good[evidence.kept]])
        posterior = posterior.with_incumbent(posterior.incumbent - step)
        good = seen.rows[evidence.kept[np.argsort(posterior.fitted, kind="stable")]]
        extra = np.vstack([np.empty((0, cube.d)), *(cube.snap(best_rows(task, 40 // len(tasks))) for task in tasks)])
        if len(seen.waiting):
            posterior = posterior.believing(cube.features(seen.waiting))
        near = np.vstack([seen.rows[-NEAR:], seen.waiting])
        barren = floor.barren_levels(cube, seen.rows, seen.good)
        # Models of parents say themselves where the best may be.
        prior = None if tasks else OptimumPrior.after(len(seen.values), cube.column[~cube.is_categorical])
        worth = LogEI(posterior, prior)
        maximiser = Maximiser(cube, worth, cube.features, aim.taken, near, aim.forced, barren)
        best = maximiser.best(good, extra, rng)
        return None if best is None else Found(*best, noisy)

    def _smoothness(self, seen: Seen) -> Matern:
        """The rougher in numeric spaces, else that under which the results are most probable (both were measured)."""
        if not len(self._table.cube.categorical):
            return Matern.THREE_HALVES
        return min(Matern, key=lambda matern: self._fitted(seen, matern)[1])

    def _fitted(self, seen: Seen, matern: Matern) -> tuple[Floats, float]:
        """Theta and its negative log posterior density, with the usual length scales or those of the parents.

        Which of them are expected is for the results to say; many results show the length scales themselves.
        """
        options = self._lengths if len(seen.values) < MANY else [None]
        return min((self._fit(seen, matern, lengths) for lengths in options), key=lambda found: found[1])

    def _fit(self, seen: Seen, matern: Matern, lengths: Floats | None) -> tuple[Floats, float]:
        """A fit from scratch now and then, adjusted in between, both to prefixes of the observations."""
        n = len(seen.values)
        coarse, fine = prefix(seen, max(COARSE_LEAST, n // COARSE)), prefix(seen, n // FINE)
        start = None
        if len(coarse.values) < len(fine.values):
            data = self._evidence(coarse, FIT_MOST, matern).data
            start = self._fits.theta(data, len(coarse.values), lengths=lengths)
        return self._fits.fitted(self._evidence(fine, FIT_MOST, matern).data, len(fine.values), start, lengths)

    def _evidence(self, seen: Seen, most: int, matern: Matern) -> Evidence:
        """The same for all trials of a batch, which differ in what is pending alone."""
        n = len(seen.values)
        key = n, min(n, most), seen.weights is None
        if key not in self._kept:
            self._kept[key] = Evidence.of(self._table.cube, seen, most, self._table.spec.seed, self._models)
        found = self._kept[key]
        return replace(found, data=replace(found.data, matern=matern))

    def _eligible(self, seen: Seen, evidence: Evidence, forced: tuple[int, int] | None) -> Bools:
        """Which observations the incumbent is taken from: successes, of a forced value where there are some."""
        among = seen.good[evidence.kept]
        if not among.any():
            return ~among
        # What is better outside the ranges cannot be reached, and would make every trial look hopeless.
        inside = among & self._table.cube.inside(seen.rows[evidence.kept])
        among = inside if inside.any() else among
        if forced is not None:
            of_level = among & (seen.rows[evidence.kept, forced[0]] == forced[1])
            return of_level if of_level.any() else among
        return among


def free_row(cube: Cube, seed: int, number: int, row: Floats, taken: Taken) -> Floats | None:
    """`row`, or random ones until one is free; None when a finite space is used up."""
    for attempt in range(1, 32):
        if cube.lawful(row) and cube.key(row) not in taken:
            return row
        row = random_row(cube, seed, number, attempt)
    return row if cube.size is None else next_free(cube, row, taken)
