"""Hyperband as AMT runs it: asynchronous successive halving, stopping type (Li et al. 2020, MLSys, "ASHA").

Rungs lie at MinResource, 3 MinResource, 9 MinResource, ... below MaxResource. A trial that has passed a rung
goes on while its objective at the rung is among the best third of all that passed it; it is looked at again at
each of its emissions, since several epochs may arrive at once and better trials may arrive later. A trial that
reaches MaxResource is stopped: it has had all it may have.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from tunewright.core.history import History
from tunewright.core.spec import Direction, Hyperband
from tunewright.core.trial import StopCause, Verdict
from tunewright.search.curves import Curve, CurveBook

ETA = 3
"""One in so many goes on at each rung."""


def rungs(settings: Hyperband, upto: int) -> list[int]:
    """The rungs passed at epoch `upto`, ascending."""
    found, rung = [], max(1, settings.min_resource)
    while rung <= upto and (settings.max_resource is None or rung < settings.max_resource):
        found.append(rung)
        rung *= ETA
    return found


class SuccessiveHalving:
    """Judges one emission at a time.

    Args:
        from_two: whether two trials at a rung are compared already, of which the better goes on; else they are
            as many as `ETA` before anything is stopped.
    """

    def __init__(self, *, from_two: bool = False) -> None:
        self._book = CurveBook()
        self._least = 2 if from_two else ETA

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        """Whether trial `number` goes on after its emission at epoch `upto`."""
        settings = history.spec.hyperband or Hyperband()
        record = history.records[number]
        own = Curve.of(record)
        if settings.max_resource is not None and upto >= settings.max_resource:
            why = f"stopped at epoch {upto}: it reached the maximum resource {settings.max_resource}"
            return Verdict(True, why, own.value_at(upto), cause=StopCause.MAX_RESOURCE)
        passed = rungs(settings, upto)
        value = own.value_at(passed[-1]) if passed else None
        if value is None:
            return Verdict(False)
        return self._compare(history, number, upto, passed[-1], value)

    def _compare(self, history: History, number: int, upto: int, rung: int, value: float) -> Verdict:
        """The trial's value at a rung against all that passed it, its own included."""
        definition = history.records[number].definition
        finished = self._book.of(history, definition).values(rung)
        running = []
        for other in history.live():
            if other.definition == definition and other.number != number and max(other.curve, default=0) >= rung:
                at_rung = Curve.of(other).value_at(rung)
                if at_rung is not None:
                    running.append(at_rung)
        objective = history.spec.definitions[definition].objective
        maximise = objective is not None and objective.direction is Direction.MAXIMIZE
        count = len(finished) + len(running) + 1
        if count < self._least:
            return Verdict(False)
        better = _better(finished, value, maximise) + sum(v > value if maximise else v < value for v in running)
        places = max(1, count // ETA)
        pool = sorted([*finished, *running, value], reverse=maximise)
        stop = better >= places
        verb = "stopped" if stop else "goes on"
        why = (
            f"{verb} at epoch {upto}: {value:.6g} at rung {rung} is number {better + 1} of {count} jobs, "
            f"the best {places} go on (up to {pool[places - 1]:.6g})"
        )
        return Verdict(stop, why, value, pool[places - 1])


def _better(ascending: list[float], value: float, maximise: bool) -> int:
    """How many of a sorted list are strictly better than `value`."""
    return len(ascending) - bisect_right(ascending, value) if maximise else bisect_left(ascending, value)
