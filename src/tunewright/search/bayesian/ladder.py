"""What trials of different length have shown, on one scale, for a model over configuration and epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tunewright.core.history import History, Record
from tunewright.core.spec import Hyperband
from tunewright.search.arrays import Bools, Floats, Ints
from tunewright.search.bayesian.evidence import subset
from tunewright.search.bayesian.model import Data
from tunewright.search.bayesian.priors import Layout
from tunewright.search.bayesian.transforms import model_targets, standardise
from tunewright.search.curves import Curve
from tunewright.search.encode import Cube
from tunewright.search.hyperband import ETA, rungs
from tunewright.search.table import State, Table, state_of

STEPS = 3
"""Marks from one rung to the next."""

LEAST_SPREAD = 0.3
"""Of the targets at a level, however much alike its trials stood at the level before."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """What was observed at each rung, in launch order.

    Args:
        cube: of the job.
        rows: of the configuration, shape (n, d); one line for each mark that a trial passed.
        levels: log(R / epoch) / log R, 0 at the full resource R and 1 at one epoch, shape (n,).
        values: objectives to minimise, NaN for trials that failed, shape (n,).
        owner: the place in launch order of the trial that each line belongs to, shape (n,), ascending.
        shown: whether the model sees the line, shape (n,): those at rungs and the last of each trial. Lines at other
            marks only say what a value there means.
        trials: number of trials.
    """

    cube: Cube
    rows: Floats
    levels: Floats
    values: Floats
    owner: Ints
    shown: Bools
    trials: int

    @classmethod
    def of(cls, table: Table, history: History) -> Ladder:
        """The observations of a history, whose up-to-date table is given."""
        settings = history.spec.resources
        most = full_resource(history, settings)
        owner, levels, values, marks = [], [], [], []
        for place, record in enumerate(history.records.values()):
            if np.isfinite(table.rows[place]).all():
                for epoch, value, seen in _observations(record, settings, most):
                    owner.append(place)
                    levels.append(level_of(epoch, most))
                    values.append(table.spec.sign * value)
                    marks.append(seen)
        places, shown = np.array(owner, dtype=np.int64), np.array(marks, dtype=bool)
        return cls(table.cube, table.rows[places], np.array(levels), np.array(values), places, shown, len(table))

    @property
    def blind(self) -> bool:
        """Whether there are not even two different results."""
        finite = self.values[np.isfinite(self.values)]
        return len(finite) < 2 or float(np.ptp(finite)) == 0.0

    def first(self, trials: int) -> Ladder:
        """What was observed of the first so many trials; of all, where that would leave nothing to learn from."""
        end = int(np.searchsorted(self.owner, trials))
        part = Ladder(
            cube=self.cube,
            rows=self.rows[:end],
            levels=self.levels[:end],
            values=self.values[:end],
            owner=self.owner[:end],
            shown=self.shown[:end],
            trials=trials,
        )
        return self if part.blind else part

    def data(self, most: int, seed: int) -> tuple[Data, Ints]:
        """At most `most` observations for a model, and which lines they are."""
        targets = linked_targets(self.levels, self.values, self.owner)
        lines = np.flatnonzero(self.shown)
        kept = lines[subset(targets[lines], most, seed)]
        features = np.hstack([self.cube.features(self.rows[kept]), self.levels[kept][:, None]])
        return Data(features, targets[kept], Layout.of(self.cube, epoch=True)), kept


def full_resource(history: History, settings: Hyperband) -> int:
    """The epochs of a full training: the most that any trial has shown, where nobody has said."""
    longest = (max(record.curve, default=1) for record in history.records.values())
    return settings.max_resource or max(longest, default=1)


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


def marks(settings: Hyperband, upto: int) -> list[int]:
    """Rungs and epochs between them that are passed at epoch `upto`, ascending."""
    passed = rungs(settings, upto)
    found = dict.fromkeys(math.floor(rung * ETA ** (step / STEPS) + 0.5) for rung in passed for step in range(STEPS))
    return [epoch for epoch in found if epoch <= upto and epoch < (settings.max_resource or math.inf)]


def _observations(record: Record, settings: Hyperband, most: int) -> list[tuple[int, float, bool]]:
    """Epochs and objectives of a trial at the marks that it passed and at its end, and whether the model sees them."""
    if state_of(record) is State.BAD:
        return [(most, math.nan, True)]
    curve = Curve.of(record)
    rung, epochs = set(rungs(settings, curve.last)), marks(settings, curve.last)
    if record.ended is not None and curve.last and (curve.last >= most or not (record.ended.stopped and epochs)):
        epochs = sorted({*epochs, curve.last})
    found = [(epoch, curve.value_at(epoch), epoch in rung or epoch == epochs[-1]) for epoch in epochs]
    if not found and record.value is not None:
        found = [(most, record.value, True)]
    return [(epoch, value, seen) for epoch, value, seen in found if value is not None]
