"""A configuration that is run several times: its training jobs follow one another, and its mean is what counts.

With k replicates the training jobs 1 to k have the first configuration, k + 1 to 2 k the second, and so on. A
configuration counts when all its training jobs have ended and more than half of them have an objective; its value
is their mean. It is known by the best of them, whose model is the one to use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunewright.core.space import Point
from tunewright.core.spec import Objective
from tunewright.core.trial import Trial


def configuration_of(number: int, replicates: int) -> int:
    """The configuration, from 1, that a training job belongs to."""
    return (number - 1) // replicates + 1


def replicate_of(number: int, replicates: int) -> int:
    """Which of its configuration's training jobs it is, from 1."""
    return (number - 1) % replicates + 1


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean of finite values, and their sample standard deviation (None of a single one)."""
    # Divided first, so that a sum of huge values stays finite.
    mean = math.fsum(value / len(values) for value in values)
    if len(values) < 2:
        return mean, None
    if min(values) == max(values):
        return values[0], 0.0
    gaps = [value - mean for value in values]
    scale = max(map(abs, gaps)) or 1.0
    spread = scale * math.sqrt(math.fsum((gap / scale) ** 2 for gap in gaps) / (len(values) - 1))
    return mean, spread if math.isfinite(spread) else None


@dataclass(frozen=True, slots=True)
class Best:
    """The best configuration so far by final objective; ties go to the earliest.

    Args:
        number, name: of its training job, of its best one where there are several.
        value: its objective, the mean where there are several training jobs.
        runs: how many objectives the mean is made of.
        spread: their sample standard deviation.
    """

    number: int
    name: str
    value: float
    runs: int = 1
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The training jobs of one configuration that have ended.

    Args:
        values: those with an objective that counts.
    """

    ended: int = 0
    values: tuple[Best, ...] = ()

    def add(self, trial: Trial) -> Group:
        """The group after one more ended."""
        mine = () if trial.value is None else (Best(trial.number, trial.name, trial.value),)
        return Group(self.ended + 1, (*self.values, *mine))

    def result(self, objective: Objective, least: int) -> Best | None:
        """The configuration's result, or None with fewer than `least` objectives."""
        if len(self.values) < max(1, least):
            return None
        top = self.values[0]
        for other in sorted(self.values, key=lambda each: each.number):
            if objective.better(other.value, top.value) or (other.value == top.value and other.number < top.number):
                top = other
        mean, spread = mean_and_spread([each.value for each in self.values])
        return Best(top.number, top.name, mean, len(self.values), spread)


def budget_problem(max_jobs: int | None, replicates: int) -> str | None:
    """What is wrong with a number of training jobs, in words."""
    if max_jobs is None or max_jobs % replicates == 0:
        return None
    less, more = max_jobs // replicates * replicates, -(-max_jobs // replicates) * replicates
    near = f"{less} or {more}" if less else str(more)
    rule = f"is not a multiple of replicates {replicates}, so that the last configuration would get fewer"
    return f"{max_jobs} {rule}; use {near}."


def needed(replicates: int) -> int:
    """How many of a configuration's training jobs must have an objective: more than half."""
    return replicates // 2 + 1


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration and its training jobs, for people.

    Args:
        trials: in launch order, live ones included.
        result: its mean so far, over the objectives that there are; None while there are none.
        counts: whether the result is compared with others.
    """

    number: int
    point: Point
    trials: tuple[Trial, ...]
    result: Best | None
    counts: bool


def configurations(trials: Iterable[Trial], replicates: int, objective: Objective) -> list[Configuration]:
    """The configurations of a job in launch order."""
    groups: dict[int, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(configuration_of(trial.number, replicates), []).append(trial)
    found = []
    for number, mine in sorted(groups.items()):
        group = Group()
        for trial in mine:
            group = group if trial.status.live else group.add(trial)
        whole = group.ended == replicates and len(group.values) >= needed(replicates)
        found.append(Configuration(number, mine[0].point, tuple(mine), group.result(objective, 1), whole))
    return found
