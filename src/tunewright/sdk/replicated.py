"""Configurations with several training jobs, as the Python face shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunewright.core.replicates import configuration_of, mean_and_spread
from tunewright.core.space import Value
from tunewright.sdk.facts import Row


@dataclass(frozen=True, slots=True)
class ConfigurationResult:
    """One configuration.

    Args:
        number: in the order of launching, from 1.
        values: its tuned values with their types.
        mean: of the objectives of its training jobs so far; None while there are none.
        spread: their sample standard deviation; None of fewer than two.
        runs: how many objectives that is.
        training_jobs: their names, in launch order.
    """

    number: int
    values: Mapping[str, Value]
    mean: float | None
    spread: float | None
    runs: int
    training_jobs: tuple[str, ...]


def mean_of(results: Iterable[ConfigurationResult], training_job: str) -> float | None:
    """The mean of the configuration that a training job belongs to."""
    return next((found.mean for found in results if training_job in found.training_jobs), None)


def configuration_results(
    rows: Sequence[tuple[Row, Mapping[str, Value]]], replicates: int
) -> list[ConfigurationResult]:
    """The configurations of training jobs in launch order.

    Args:
        rows: each training job with its tuned values.
    """
    groups: dict[int, list[tuple[Row, Mapping[str, Value]]]] = {}
    for place, (row, values) in enumerate(rows, start=1):
        number = row.number()
        at = configuration_of(int(number) if number.isdigit() else place, replicates)
        groups.setdefault(at, []).append((row, values))
    found = []
    for at, mine in sorted(groups.items()):
        objectives = [row.value for row, _ in mine if row.counts and row.value is not None]
        mean, spread = mean_and_spread(objectives) if objectives else (None, None)
        names = tuple(row.name for row, _ in mine)
        found.append(ConfigurationResult(at, dict(mine[0][1]), mean, spread, len(objectives), names))
    return found
