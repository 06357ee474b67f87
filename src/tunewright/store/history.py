"""A job's history, read as a stream: one trial's rows at a time, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from tunewright.core.history import Appeared, Emitted, Fact, History, Weighed
from tunewright.core.outcome import end_of
from tunewright.core.spec import JobSpec
from tunewright.core.trial import Trial, TrialStatus
from tunewright.store.rows import BRIEF, value_out
from tunewright.store.tables import curve, trial

CHUNK = 1000
_NONE: tuple[int, list[Seen]] = (0, [])


def read_history(connection: Connection, uid: str, spec: JobSpec) -> History:
    """All trials of a job with the objective curves of their latest attempts."""
    history = History(spec)
    curves = _curves(connection, uid)
    number, seen = next(curves, _NONE)
    for one in _trials(connection, uid):
        if number != one.number:
            history.apply(_facts(one, (), spec))
            continue
        history.apply(_facts(one, seen, spec))
        number, seen = next(curves, _NONE)
    return history


def _trials(connection: Connection, uid: str) -> Iterator[Trial]:
    """Every trial of a job in launch order, with what a history needs of it."""
    statement = select(trial.c.body).where(trial.c.job_uid == uid).order_by(trial.c.number)
    for (body,) in connection.execution_options(yield_per=CHUNK).execute(statement):
        yield BRIEF.loads(body)


class Seen(NamedTuple):
    """What a history needs of a row of a curve."""

    number: int
    attempt: int
    epoch: int
    seq: int
    value: float


_CURVE = (curve.c.number, curve.c.attempt, curve.c.epoch, curve.c.seq, curve.c.value, curve.c.mark)


def _curves(connection: Connection, uid: str) -> Iterator[tuple[int, list[Seen]]]:
    """Number and objective values of every attempt, trial by trial, each in order of emission."""
    statement = select(*_CURVE).where(curve.c.job_uid == uid)
    in_key_order = statement.order_by(curve.c.number, curve.c.attempt, curve.c.epoch)
    rows = connection.execution_options(yield_per=CHUNK).execute(in_key_order)
    for number, group in groupby(rows, key=itemgetter(0)):
        # Sorting here, where it is nearly sorted, spares the database a sort of the whole.
        yield number, sorted((_seen(row) for row in group), key=attrgetter("seq"))


def _seen(row: Row[Any]) -> Seen:
    number, attempt, epoch, seq, value, mark = row
    return Seen(number, attempt, epoch, seq, value_out(value, mark))


def _facts(one: Trial, points: Sequence[Seen], spec: JobSpec) -> list[Fact]:
    """What `step` told about a trial, but for attempts that are void."""
    facts: list[Fact] = [Appeared(one.number, one.definition, one.point)]
    facts += [Emitted(one.number, seen.epoch, seen.value) for seen in points if seen.attempt == one.origin]
    if spec.promotes and one.judged:
        facts.append(Weighed(one.number, one.judged, one.status is TrialStatus.PAUSED))
    if not one.status.live:
        facts.append(end_of(one))
    return facts
