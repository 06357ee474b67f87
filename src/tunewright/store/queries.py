"""`SqlReads`: the read models behind `core.reads.Reads`. Nothing here blocks a run or changes a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from operator import itemgetter
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPICursor

from tunewright.core.change import CurvePoint
from tunewright.core.errors import NotFound
from tunewright.core.events import Event
from tunewright.core.job import Job, standing
from tunewright.core.reads import JobPage, JobQuery, JobView, MetricValue, TrialPage, TrialQuery, TrialView
from tunewright.core.spec import JobSpec
from tunewright.core.trial import Trial
from tunewright.store.database import looking
from tunewright.store.paging import Order
from tunewright.store.read_statements import ReadStatements, job_order, trial_order
from tunewright.store.rows import (
    EVENT,
    MOST_SPECS,
    OWNER,
    SPEC,
    STATE,
    TRAINING_JOB,
    TRIAL,
    TUNING_JOB,
    key_of,
    metric_in,
    metric_out,
    value_out,
)
from tunewright.store.tables import curve, point

_GAP = 32
"""Training jobs that may lie unasked for between two of one range."""


class SqlReads:
    """Everything that faces, plots and pages look at. Safe to use from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = ReadStatements(engine.dialect)
        self._specs: dict[str, JobSpec] = {}

    # ---- jobs ----

    def job(self, name: str, *, tuning: bool = True) -> JobView:
        with looking(self._engine) as cursor:
            rows = self._sql.job.run(cursor, {"tuning": tuning, "key": key_of(name)}).fetchall()
            if not rows:
                raise NotFound(TUNING_JOB if tuning else TRAINING_JOB, name)
            return self._job_view(cursor, rows[0])

    def jobs(self, query: JobQuery) -> JobPage:
        order = job_order(query)
        statement, asked = self._sql.jobs(query, order)
        with looking(self._engine) as cursor:
            rows = statement.run(cursor, asked).fetchall()
            views = [self._job_view(cursor, row) for row in rows[: query.limit]]
        return JobPage(tuple(views), _after(order, rows, query.limit))

    def running(self) -> int:
        with looking(self._engine) as cursor:
            ((count,),) = self._sql.running.run(cursor, {}).fetchall()
        return int(count)

    def _job_view(self, cursor: DBAPICursor, row: Sequence[Any]) -> JobView:
        uid, state, version, running, owner, expires = row[:6]
        spec = self._read_specs(cursor, [uid])[uid]
        found = self._sql.live.run(cursor, {"uid": uid}).fetchall() if running else []
        one: Job = STATE.loads(state, uid=uid, spec=spec, **standing(TRIAL.loads(body) for _, body in found))
        return JobView(one, version, None if owner is None else OWNER.loads(owner), expires)

    def journal(self, job_uid: str) -> list[Event]:
        """Raises NotFound."""
        with looking(self._engine) as cursor:
            rows = self._sql.journal.run(cursor, {"uid": job_uid}).fetchall()
        if not rows:
            raise NotFound(TUNING_JOB, job_uid)
        return [EVENT.loads(body) for (body,) in rows]

    # ---- training jobs ----

    def trial(self, name: str) -> TrialView:
        with looking(self._engine) as cursor:
            rows = self._sql.trial.run(cursor, {"key": key_of(name)}).fetchall()
            if not rows:
                raise NotFound(TRAINING_JOB, name)
            return self._trial_views(cursor, rows)[0]

    def trials(self, query: TrialQuery) -> TrialPage:
        order = trial_order(query)
        statement, asked = self._sql.trials(query, order)
        wanted = None if query.status is None else query.status.shown.value
        with looking(self._engine) as cursor:
            rows = statement.run(cursor, asked).fetchall()
            chosen = [row for row in rows[: query.limit] if wanted is None or row[1] == wanted]
            views = self._trial_views(cursor, chosen)
        return TrialPage(tuple(views), _after(order, rows, query.limit))

    def all_trials(self, job_uid: str, *, deleted: bool = False) -> list[TrialView]:
        """Raises NotFound when there is neither such a job nor a training job of it."""
        with looking(self._engine) as cursor:
            if job_uid not in self._read_specs(cursor, [job_uid]):
                raise NotFound(TUNING_JOB, job_uid)
            ask = self._sql.all_trials[deleted]
            return self._trial_views(cursor, ask.run(cursor, {"uid": job_uid}).fetchall())

    def _trial_views(self, cursor: DBAPICursor, rows: Sequence[Sequence[Any]]) -> list[TrialView]:
        specs = self._read_specs(cursor, [row[3] for row in rows])
        return [
            TrialView(TRIAL.loads(body), uid, specs[uid].name, specs[uid], modified)
            for body, _, modified, uid, *_ in rows
        ]

    # ---- curves ----

    def metrics(self, name: str) -> list[MetricValue]:
        with looking(self._engine) as cursor:
            one, asked = self._attempt(cursor, name)
            return self._last_values(cursor, str(asked["uid"]), [one]).get(one.number, [])

    def final_metrics(self, views: Sequence[TrialView]) -> dict[int, list[MetricValue]]:
        if not views:
            return {}
        with looking(self._engine) as cursor:
            return self._last_values(cursor, views[0].job_uid, [view.trial for view in views])

    def _last_values(self, cursor: DBAPICursor, uid: str, trials: Sequence[Trial]) -> dict[int, list[MetricValue]]:
        last = {one.number: one.last for one in trials}
        found: dict[int, list[tuple[int, MetricValue]]] = {}
        for low, high in spans(last):
            asked = {"uid": uid, "low": low, "high": high}
            for number, first, *row in self._sql.last_points.run(cursor, asked).fetchall():
                found.setdefault(number, []).append((first, _metric_value(row)))
            for number, first, metric, at in self._sql.last_objective.run(cursor, asked).fetchall():
                # A repeated epoch replaces in place, so that the last row need not be the last that was emitted.
                if (value := last.get(number)) is not None:
                    found.setdefault(number, []).append((first, MetricValue(metric_out(metric), value, at)))
        return {
            number: [value for _, value in sorted(values, key=itemgetter(0))]
            for number, values in found.items()
            if number in last
        }

    def metric_names(self, job_uid: str) -> list[str]:
        with looking(self._engine) as cursor:
            rows = self._sql.metric_names.run(cursor, {"uid": job_uid}).fetchall()
        return sorted(metric_out(metric) for (metric,) in rows)

    def points(self, views: Sequence[TrialView]) -> dict[int, list[CurvePoint]]:
        wanted = {view.trial.number for view in views}
        found: dict[int, list[tuple[int, CurvePoint]]] = {}
        with looking(self._engine) as cursor:
            for (low, high), (table, statement) in product(spans(wanted), self._sql.range_points.items()):
                asked = {"uid": views[0].job_uid, "low": low, "high": high}
                for seq, *row in statement.run(cursor, asked).fetchall():
                    if row[0] in wanted:
                        found.setdefault(row[0], []).append((seq, _curve_point(row, table is curve)))
        return {number: [one for _, one in sorted(seen, key=itemgetter(0))] for number, seen in found.items()}

    def curve(self, name: str, metric: str | None = None) -> list[CurvePoint]:
        found: list[tuple[int, CurvePoint]] = []
        with looking(self._engine) as cursor:
            _, asked = self._attempt(cursor, name)
            if metric is not None:
                asked["metric"] = metric_in(metric)
            for table in (curve, point):
                rows = self._sql.points[table, metric is not None].run(cursor, asked).fetchall()
                found += [(seq, _curve_point(row, table is curve)) for seq, *row in rows]
        return [seen for _, seen in sorted(found, key=itemgetter(0))]

    # ---- pieces ----

    def _attempt(self, cursor: DBAPICursor, name: str) -> tuple[Trial, dict[str, object]]:
        """A training job, and what statements on the curve that counts take. Raises NotFound."""
        rows = self._sql.attempt.run(cursor, {"key": key_of(name)}).fetchall()
        if not rows:
            raise NotFound(TRAINING_JOB, name)
        one = TRIAL.loads(rows[0][1])
        return one, {"uid": rows[0][0], "number": one.number, "attempt": one.origin}

    def _read_specs(self, cursor: DBAPICursor, uids: Iterable[str]) -> dict[str, JobSpec]:
        """Specifications by uid, which never change and are read once; a missing one is left out."""
        known, specs, fresh = self._specs, {}, {}
        for uid in dict.fromkeys(uids):
            if (spec := known.get(uid)) is None:
                rows = self._sql.spec.run(cursor, {"uid": uid}).fetchall()
                if not rows:
                    continue
                spec = fresh[uid] = SPEC.loads(rows[0][0])
            specs[uid] = spec
        if fresh:
            # Replaced as a whole, so that other threads see the one or the other; the oldest give way.
            kept = [*({**self._specs, **fresh}).items()]
            self._specs = dict(kept[-MOST_SPECS:])
        return specs


def spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ranges that hold all of these numbers and few others: a question for each, and few rows read in vain."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number - found[-1][1] <= _GAP:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _after(order: Order, rows: Sequence[Sequence[Any]], limit: int) -> str | None:
    """The position of the last row of a page when there are more beyond it."""
    return order.position(rows[limit - 1]) if len(rows) > limit else None


def _curve_point(row: Sequence[Any], objective: bool) -> CurvePoint:
    number, attempt, metric, epoch, value, mark, at = row
    return CurvePoint(number, attempt, metric_out(metric), epoch, value_out(value, mark), at, objective)


def _metric_value(row: Sequence[Any]) -> MetricValue:
    metric, value, mark, at = row
    return MetricValue(metric_out(metric), value_out(value, mark), at)
