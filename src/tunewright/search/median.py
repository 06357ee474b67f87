"""The median rule (Golovin et al. 2017, "Google Vizier", sec. 3.2.2): AMT's early stopping.

A trial is stopped when its current objective is worse than the median of the running averages of the finished
trials up to the same epoch.
"""

from __future__ import annotations

import math

from tunewright.core.history import History
from tunewright.core.trial import Verdict
from tunewright.search.curves import CurveBook

LEAST_FINISHED = 3
"""Finished trials that must have reached the epoch."""

LEAST_EPOCH = 2
"""No verdict before this epoch: a program that reports once is never stopped."""

GRACE = 0.25
"""Nor before this share of the median number of epochs of the finished trials."""


class MedianRule:
    """Judges one emission at a time."""

    def __init__(self) -> None:
        self._book = CurveBook()

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        """Whether trial `number` goes on after its emission at epoch `upto`; a value that is not finite is a gap."""
        record = history.records[number]
        value = record.curve.get(upto)
        if value is None or not math.isfinite(value):
            return Verdict(False)
        curves = self._book.of(history, record.definition)
        if not curves.lengths or upto < first_epoch(curves.lengths):
            return Verdict(False)
        averages = curves.averages(upto)
        if len(averages) < LEAST_FINISHED:
            return Verdict(False)
        median = median_of(averages)
        worse = history.spec.sign * value > history.spec.sign * median
        verb = "stopped" if worse else "goes on"
        why = f"{verb} at epoch {upto}: {value:.6g} against the median {median:.6g} of {len(averages)} jobs"
        return Verdict(worse, why, value, median)


def first_epoch(lengths: list[int]) -> int:
    """The first epoch at which a verdict is given; `lengths` ascends."""
    return max(LEAST_EPOCH, math.ceil(GRACE * median_of(lengths)))


def median_of(ascending: list[float] | list[int]) -> float:
    """The median of a list that is sorted already."""
    half = len(ascending) // 2
    if len(ascending) % 2:
        return float(ascending[half])
    return 0.5 * ascending[half - 1] + 0.5 * ascending[half]
