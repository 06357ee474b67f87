"""Replicates as strategies see them: a history with one record for each configuration, its mean as its result."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunewright.core.history import Ended, History, Record
from tunewright.core.replicates import configuration_of, mean_and_spread, needed
from tunewright.core.spec import JobSpec


def merged(history: History, spec: JobSpec, replicates: int) -> History:
    """The history by configurations: the k-th record is the k-th configuration.

    Args:
        spec: of the merged history, without replicates.
    """
    groups: dict[int, list[Record]] = {}
    for record in history.records.values():
        groups.setdefault(configuration_of(record.number, replicates), []).append(record)
    found = History(spec, history.parents)
    found.records = {number: _record(number, mine, replicates) for number, mine in groups.items()}
    found.version = history.version
    return found


def _record(number: int, mine: Sequence[Record], replicates: int) -> Record:
    epochs: dict[int, list[float]] = {}
    for record in mine:
        for epoch, value in record.curve.items():
            epochs.setdefault(epoch, []).append(value)
    curve = {epoch: _mean(values) for epoch, values in sorted(epochs.items())}
    paused = any(record.paused for record in mine) and not any(record.growing for record in mine)
    return Record(number, mine[0].definition, mine[0].point, curve, _end(number, mine, replicates), paused=paused)


def _mean(values: Sequence[float]) -> float:
    """The mean of the finite values; what is not finite only where nothing else is."""
    finite = [value for value in values if math.isfinite(value)]
    return mean_and_spread(finite)[0] if finite else values[0]


def _end(number: int, mine: Sequence[Record], replicates: int) -> Ended | None:
    """The end of a configuration: when all its training jobs have ended."""
    ends = [record.ended for record in mine if record.ended is not None]
    if len(ends) < replicates:
        return None
    values = [end.value for end in ends if end.value is not None]
    stopped, cut = any(end.stopped for end in ends), any(end.cut for end in ends)
    if len(values) >= needed(replicates):
        return Ended(number, mean_and_spread(values)[0], False, False, stopped, cut)
    diverged = any(end.diverged for end in ends)
    return Ended(number, None, not diverged and any(end.failed for end in ends), diverged, stopped, cut)
