"""What trials of different length have shown, on one scale, for a model over configuration and epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tunewright.core.history import History, Record
from tunewright.core.spec import Hyperband
from tunewright.search.bayesian.evidence import subset
from tunewright.search.bayesian.model import Data
from tunewright.search.bayesian.priors import Layout
from tunewright.search.bayesian.transforms import model_targets, standardise
from tunewright.search.curves import Curve
from tunewright.search.encode import Cube, Floats, Ints
from tunewright.search.hyperband import rungs
from tunewright.search.table import State, Table, state_of

LEAST_SPREAD = 0.3
"""Of the targets at a level, however much alike its trials stood at the level before."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """What was observed at each rung, in launch order.

    Args:
        cube: of the job.
        rows: of the configuration, shape (n, d); one line for each rung that a trial passed.
        levels: log(R / epoch) / log R, 0 at the full resource R and 1 at one epoch, shape (n,).
        values: objectives to minimise, NaN for trials that failed, shape (n,).
        owner: the place in launch order of the trial that each line belongs to, shape (n,), ascending.
        trials: number of trials.
    """

    cube: Cube
    rows: Floats
    levels: Floats
    values: Floats
    owner: Ints
    trials: int

    @classmethod
    def of(cls, table: Table, history: History) -> Ladder:
        """The observations of a history, whose up-to-date table is given."""
        settings = history.spec.hyperband or Hyperband()
        most = settings.max_resource or max((max(r.curve, default=1) for r in history.records.values()), default=1)
        owner, levels, values = [], [], []
        for place, record in enumerate(history.records.values()):
            if np.isfinite(table.rows[place]).all():
                for epoch, value in _observations(record, settings, most):
                    owner.append(place)
                    levels.append(level_of(epoch, most))
                    values.append(table.sign * value)
        places = np.array(owner, dtype=np.int64)
        return cls(table.cube, table.rows[places], np.array(levels), np.array(values), places, len(table))

    @property
    def blind(self) -> bool:
        """Whether there are not even two different results."""
        finite = self.values[np.isfinite(self.values)]
        return len(finite) < 2 or float(np.ptp(finite)) == 0.0

    def first(self, trials: int) -> Ladder:
        """What was observed of the first so many trials; of all, where that would leave nothing to learn from."""
        end = int(np.searchsorted(self.owner, trials))
        part = Ladder(self.cube, self.rows[:end], self.levels[:end], self.values[:end], self.owner[:end], trials)
        return self if part.blind else part

    def data(self, most: int, seed: int) -> tuple[Data, Ints]:
        """At most `most` observations for a model, and which lines they are."""
        targets = linked_targets(self.levels, self.values, self.owner)
        kept = subset(targets, most, seed)
        features = np.hstack([self.cube.features(self.rows[kept]), self.levels[kept][:, None]])
        return Data(features, targets[kept], Layout.of(self.cube, 1)), kept


def level_of(epoch: int, most: int) -> float:
    """log(R / epoch) / log R, with R the full resource."""
    return max(0.0, math.log(most / epoch)) / math.log(most) if most > 1 else 0.0


def linked_targets(levels: Floats, values: Floats, owner: Ints) -> Floats:
    """What the model is fitted to, shape (n,): each level's objectives on the scale of the level before.

    Early objectives are nearly all worse than late ones. On one scale they would be the bad half, of which the
    model sees ranks only, though it is they that most is known of. So each level is transformed alone, and put
    where its trials stood, by mean and spread, one level earlier: those that came far were good trials.

    Args:
        levels: as in `Ladder`.
        values: objectives to minimise, NaN for failures, at least one finite.
        owner: which trial each line belongs to.
    """
    out = np.zeros(len(values))
    places = np.round(levels, 9)
    standing: dict[int, float] = {}
    for level in np.unique(places)[::-1]:
        at = np.flatnonzero(places == level)
        if not np.isfinite(values[at]).any():
            out[at] = max(standing.values(), default=1.0)
            continue
        targets = model_targets(values[at])
        before = np.array([standing[int(one)] for one in owner[at] if int(one) in standing])
        if len(before):
            targets = before.mean() + max(float(before.std()), LEAST_SPREAD) * targets
        out[at] = targets
        standing.update(zip(owner[at].tolist(), targets.tolist(), strict=True))
    return standardise(out)


def _observations(record: Record, settings: Hyperband, most: int) -> list[tuple[int, float]]:
    """Epochs and objectives of a trial at the rungs that it passed, and at its end."""
    if state_of(record) is State.BAD:
        return [(most, math.nan)]
    curve = Curve.of(record)
    epochs = set(rungs(settings, curve.last))
    if not record.live and curve.last:
        epochs.add(curve.last)
    found = [(epoch, curve.value_at(epoch)) for epoch in sorted(epochs)]
    if not found and record.value is not None:
        found = [(most, record.value)]
    return [(epoch, value) for epoch, value in found if value is not None]
