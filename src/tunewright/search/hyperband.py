"""Hyperband as AMT runs it: asynchronous successive halving, stopping type (Li et al. 2020, MLSys, "ASHA").

Rungs lie at MinResource, 3 MinResource, 9 MinResource, ... below MaxResource. A trial that has passed a rung
goes on while its objective at the rung is among the best third of all that passed it; it is looked at again at
each of its emissions, since several epochs may arrive at once and better trials may arrive later. A trial that
reaches MaxResource is stopped: it has had all it may have.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise

from tunewright.core.history import History, Record
from tunewright.core.replicates import configuration_of
from tunewright.core.spec import Hyperband
from tunewright.core.trial import StopCause, Verdict
from tunewright.search.curves import Curve, CurveBook

ETA = 3
"""One in so many goes on at each rung."""


LONG_SHARE = 0.8
"""Of the full resource: what a trial of the long bracket uses on average, the median rule stopping some."""


def rungs(settings: Hyperband, upto: int) -> list[int]:
    """The rungs passed at epoch `upto`, ascending."""
    found, rung = [], max(1, settings.min_resource)
    while rung <= upto and (settings.max_resource is None or rung < settings.max_resource):
        found.append(rung)
        rung *= ETA
    return found


def expected_epochs(settings: Hyperband, most: int) -> float:
    """What a trial uses on average when one in `ETA` goes on at each rung up to the full resource `most`."""
    ends = [*rungs(settings, most - 1), most]
    return float(ends[0] + sum((after - before) / ETA**i for i, (before, after) in enumerate(pairwise(ends), start=1)))


def long_interval(settings: Hyperband) -> int:
    """One trial in so many is of the long bracket, so that both use as many epochs; 0 when none is."""
    most = settings.max_resource
    if most is None or most <= settings.min_resource:
        return 0
    return 1 + max(1, round(LONG_SHARE * most / expected_epochs(settings, most)))


def is_long(history: History, number: int) -> bool:
    """Whether a trial is of the long bracket, with all others of its configuration; the first one is.

    Definitions take turns: those of the first round are long, and so on, so that each has its own brackets.
    """
    step = long_interval(history.spec.resources)
    turn = configuration_of(number, history.spec.replicates) - 1
    return step > 0 and turn // history.turns % step == 0


def at_the_end(settings: Hyperband, record: Record, upto: int) -> Verdict | None:
    """The verdict on a trial that has had all it may have; None while it has not."""
    if settings.max_resource is None or upto < settings.max_resource:
        return None
    why = f"stopped at epoch {upto}: it reached the maximum resource {settings.max_resource}"
    return Verdict(True, why, Curve.of(record).value_at(upto), cause=StopCause.MAX_RESOURCE)


def without_value(upto: int, rung: int, others: int) -> Verdict:
    """The verdict on a trial that passed a rung without a finite value: it is behind all others, that had one."""
    if others + 1 < ETA:
        return Verdict(False)
    return Verdict(True, f"stopped at epoch {upto}: no finite value up to rung {rung}, which {others} jobs passed")


class SuccessiveHalving:
    """Judges one emission at a time; as many as `ETA` trials must have passed a rung before anything is stopped."""

    def __init__(self) -> None:
        self._book = CurveBook()

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        """Whether trial `number` goes on after its emission at epoch `upto`."""
        settings = history.spec.resources
        record = history.records[number]
        end = at_the_end(settings, record, upto)
        if end is not None:
            return end
        passed = rungs(settings, upto)
        if not passed:
            return Verdict(False)
        finished, running = self._others(history, number, passed[-1])
        value = Curve.of(record).value_at(passed[-1])
        if value is None:
            return without_value(upto, passed[-1], len(finished) + len(running))
        return _compared(value, finished, running, f"epoch {upto}", passed[-1], maximise=history.spec.sign < 0)

    def _others(self, history: History, number: int, rung: int) -> tuple[list[float], list[float]]:
        """The values at a rung of the others that passed it: of those that have ended, ascending, and that run."""
        definition = history.records[number].definition
        finished = self._book.of(history, definition).values(rung)
        running = []
        for other in history.live():
            if other.definition == definition and other.number != number and max(other.curve, default=0) >= rung:
                at_rung = Curve.of(other).value_at(rung)
                if at_rung is not None:
                    running.append(at_rung)
        return finished, running


def _compared(
    value: float, finished: list[float], running: list[float], when: str, rung: int, *, maximise: bool
) -> Verdict:
    """The verdict on a trial by its value at a rung and those of all others that passed it."""
    count = len(finished) + len(running) + 1
    if count < ETA:
        return Verdict(False)
    better = _better(finished, value, maximise) + sum(v > value if maximise else v < value for v in running)
    places = max(1, count // ETA)
    pool = sorted([*finished, *running, value], reverse=maximise)
    stop = better >= places
    why = (
        f"{'stopped' if stop else 'goes on'} at {when}: {value:.6g} at rung {rung} is number {better + 1} of"
        f" {count} jobs, the best {places} go on (up to {pool[places - 1]:.6g})"
    )
    return Verdict(stop, why, value, pool[places - 1])


def _better(ascending: list[float], value: float, maximise: bool) -> int:
    """How many of a sorted list are strictly better than `value`."""
    return len(ascending) - bisect_right(ascending, value) if maximise else bisect_left(ascending, value)
