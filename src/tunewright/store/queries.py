"""`SqlReads`: the read models behind `core.ports.Reads`. Nothing here blocks a run or changes a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select, Table, and_, case, func, select, true

from tunewright.core.change import CurvePoint
from tunewright.core.errors import NotFound
from tunewright.core.events import Event
from tunewright.core.job import Job
from tunewright.core.ports import JobPage, JobQuery, JobView, MetricValue, TrialPage, TrialQuery, TrialView
from tunewright.core.spec import JobSpec
from tunewright.core.trial import Trial, TrialStatus
from tunewright.store.database import reading
from tunewright.store.paging import Order, unknown_sort
from tunewright.store.past import stream_curves
from tunewright.store.rows import EVENT, OWNER, SPEC, STATE, TRIAL, key_of, metric_in, metric_out, value_out
from tunewright.store.tables import curve, job, journal, lease, point, spec, trial

TUNING_JOB = "tuning job"
TRAINING_JOB = "training job"
VARIABLES = 500
"""Values in one statement; every database takes more."""
_MOST_SPECS = 512

_JOB_SORTS = {"Name": job.c.name_key, "Status": job.c.status, "CreationTime": job.c.created}
# Pending is InProgress to everybody outside.
_SHOWN = case((trial.c.status == TrialStatus.PENDING.value, TrialStatus.RUNNING.value), else_=trial.c.status)
_TRIAL_SORTS: dict[str, ColumnElement[Any]] = {
    "Name": trial.c.name_key,
    "Status": _SHOWN,
    "CreationTime": trial.c.created,
    "FinalObjectiveMetricValue": trial.c.final,
}
_JOB_COLUMNS = (job.c.uid, job.c.state, job.c.version, lease.c.body.label("owner"), lease.c.expires)
_TRIAL_COLUMNS = (trial.c.body, trial.c.status, trial.c.modified, trial.c.job_uid, job.c.uid.label("present"))


class SqlReads:
    """Everything that faces, plots and pages look at. Safe to use from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._specs: dict[str, JobSpec] = {}

    # ---- jobs ----

    def job(self, name: str, *, tuning: bool = True) -> JobView:
        found = _jobs(*_JOB_COLUMNS).where(job.c.tuning == tuning, job.c.name_key == key_of(name))
        with reading(self._engine) as connection:
            rows = connection.execute(found).mappings().all()
            if not rows:
                raise NotFound(TUNING_JOB if tuning else TRAINING_JOB, name)
            return self._job_views(connection, rows)[0]

    def jobs(self, query: JobQuery) -> JobPage:
        if query.sort not in _JOB_SORTS:
            raise unknown_sort(query.sort, tuple(_JOB_SORTS))
        order = Order(query.sort, _JOB_SORTS[query.sort], job.c.name_key, query.descending)
        statement = _jobs(*_JOB_COLUMNS, *order.columns).where(job.c.tuning == query.tuning)
        if query.status is not None:
            statement = statement.where(job.c.status == query.status.value)
        statement = _filtered(statement, query, job.c.name_key, job.c.created, job.c.updated)
        with reading(self._engine) as connection:
            rows = connection.execute(order.page(statement, query.after, query.limit)).mappings().all()
            views = self._job_views(connection, rows[: query.limit])
        return JobPage(tuple(views), _after(order, rows, query.limit))

    def _job_views(self, connection: Connection, rows: Sequence[RowMapping]) -> list[JobView]:
        uids = [row["uid"] for row in rows]
        specs = self._read_specs(connection, uids)
        live = _live(connection, uids)
        views = []
        for row in rows:
            uid = row["uid"]
            one: Job = STATE.loads(row["state"], uid=uid, spec=specs[uid], live=live.get(uid, {}))
            owner = None if row["owner"] is None else OWNER.loads(row["owner"])
            views.append(JobView(one, row["version"], owner, row["expires"]))
        return views

    def journal(self, job_uid: str) -> list[Event]:
        """Raises NotFound."""
        statement = select(journal.c.body).where(journal.c.job_uid == job_uid).order_by(journal.c.seq)
        with reading(self._engine) as connection:
            events = [EVENT.loads(body) for (body,) in connection.execute(statement)]
        if not events:
            raise NotFound(TUNING_JOB, job_uid)
        return events

    # ---- training jobs ----

    def trial(self, name: str) -> TrialView:
        with reading(self._engine) as connection:
            rows = connection.execute(_trials(*_TRIAL_COLUMNS).where(trial.c.name_key == key_of(name))).mappings().all()
            if not rows:
                raise NotFound(TRAINING_JOB, name)
            return self._trial_views(connection, rows)[0]

    def trials(self, query: TrialQuery) -> TrialPage:
        if query.sort not in _TRIAL_SORTS:
            raise unknown_sort(query.sort, tuple(_TRIAL_SORTS))
        by_value = query.sort == "FinalObjectiveMetricValue"
        order = Order(query.sort, _TRIAL_SORTS[query.sort], trial.c.name_key, query.descending, earliest=by_value)
        statement = _trials(*_TRIAL_COLUMNS, *order.columns)
        if query.job_uid is not None:
            statement = statement.where(trial.c.job_uid == query.job_uid)
        if by_value:
            statement = statement.where(trial.c.final.is_not(None))
        wanted = _statuses(query.status)
        if wanted and not query.page_first:
            statement = statement.where(trial.c.status.in_(wanted))
        statement = _filtered(statement, query, trial.c.name_key, trial.c.created, trial.c.modified)
        with reading(self._engine) as connection:
            rows = connection.execute(order.page(statement, query.after, query.limit)).mappings().all()
            chosen = [row for row in rows[: query.limit] if not wanted or row["status"] in wanted]
            views = self._trial_views(connection, chosen)
        return TrialPage(tuple(views), _after(order, rows, query.limit))

    def all_trials(self, job_uid: str) -> list[TrialView]:
        """Raises NotFound when there is neither such a job nor a training job of it."""
        statement = _trials(*_TRIAL_COLUMNS).where(trial.c.job_uid == job_uid).order_by(trial.c.number)
        with reading(self._engine) as connection:
            if job_uid not in self._read_specs(connection, [job_uid]):
                raise NotFound(TUNING_JOB, job_uid)
            return self._trial_views(connection, connection.execute(statement).mappings().all())

    def _trial_views(self, connection: Connection, rows: Sequence[RowMapping]) -> list[TrialView]:
        specs = self._read_specs(connection, [row["job_uid"] for row in rows])
        return [
            TrialView(
                TRIAL.loads(row["body"]),
                row["job_uid"],
                specs[row["job_uid"]].name,
                specs[row["job_uid"]],
                row["modified"],
                job_deleted=row["present"] is None,
            )
            for row in rows
        ]

    # ---- curves ----

    def metrics(self, name: str) -> list[MetricValue]:
        with reading(self._engine) as connection:
            uid, one = self._attempt(connection, name)
            found = [(first, _metric_value(row)) for first, *row in connection.execute(_last_points(uid, one))]
            objective = connection.execute(_last_objective(uid, one)).all()
        for first, metric, at in objective:
            # A repeated epoch replaces in place, so that the last row need not be the last that was emitted.
            assert one.last is not None, "a trial with a curve has a last value"
            found.append((first, MetricValue(metric_out(metric), one.last, at)))
        return [value for _, value in sorted(found, key=itemgetter(0))]

    def curve(self, name: str, metric: str | None = None) -> list[CurvePoint]:
        found: list[tuple[int, CurvePoint]] = []
        with reading(self._engine) as connection:
            uid, one = self._attempt(connection, name)
            for table in (curve, point):
                rows = connection.execute(_points(table, uid, one, metric))
                found += [(seq, _curve_point(row, table is curve)) for seq, *row in rows]
        return [seen for _, seen in sorted(found, key=itemgetter(0))]

    def curves(self, job_uid: str) -> dict[int, list[CurvePoint]]:
        attempts = select(trial.c.number, trial.c.attempt).where(trial.c.job_uid == job_uid).order_by(trial.c.number)
        with reading(self._engine) as connection:
            latest: dict[int, int] = {number: attempt for number, attempt in connection.execute(attempts)}
            curves: dict[int, list[CurvePoint]] = {number: [] for number in latest}
            for number, seen in stream_curves(connection, job_uid):
                curves[number] = [
                    CurvePoint(number, one.attempt, one.metric, one.epoch, one.value, one.at, True)
                    for one in seen
                    if one.attempt == latest[number]
                ]
        return curves

    # ---- pieces ----

    def _attempt(self, connection: Connection, name: str) -> tuple[str, Trial]:
        statement = select(trial.c.job_uid, trial.c.body).where(trial.c.name_key == key_of(name))
        row = connection.execute(statement).first()
        if row is None:
            raise NotFound(TRAINING_JOB, name)
        return row[0], TRIAL.loads(row[1])

    def _read_specs(self, connection: Connection, uids: Iterable[str]) -> dict[str, JobSpec]:
        """Specifications by uid, which never change and are read once; a missing one is left out."""
        wanted = dict.fromkeys(uids)
        specs = {uid: self._specs[uid] for uid in wanted if uid in self._specs}
        missing = [uid for uid in wanted if uid not in specs]
        for some in _chunks(missing):
            for uid, body in connection.execute(select(spec.c.uid, spec.c.body).where(spec.c.uid.in_(some))):
                specs[uid] = SPEC.loads(body)
        if missing:
            kept = {**self._specs, **specs}
            self._specs = kept if len(kept) <= _MOST_SPECS else {}
        return specs


def _jobs(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).select_from(job.outerjoin(lease, lease.c.job_uid == job.c.uid))


def _trials(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).select_from(trial.outerjoin(job, job.c.uid == trial.c.job_uid))


def _filtered(
    statement: Select[Any],
    query: JobQuery | TrialQuery,
    name: ColumnElement[str],
    created: ColumnElement[float],
    modified: ColumnElement[float],
) -> Select[Any]:
    """The filters that jobs and training jobs share."""
    if query.name_contains:
        statement = statement.where(name.contains(key_of(query.name_contains), autoescape=True))
    bounds = (
        (created, query.created_after, query.created_before),
        (modified, query.modified_after, query.modified_before),
    )
    for column, after, before in bounds:
        if after is not None:
            statement = statement.where(column > after)
        if before is not None:
            statement = statement.where(column < before)
    return statement


def _statuses(status: TrialStatus | None) -> tuple[str, ...]:
    """The stored statuses that are meant by one; none stands for all."""
    if status is TrialStatus.RUNNING:
        return (TrialStatus.RUNNING.value, TrialStatus.PENDING.value)
    return () if status is None else (status.value,)


def _after(order: Order, rows: Sequence[RowMapping], limit: int) -> str | None:
    """The position of the last row of a page when there are more beyond it."""
    return order.position(rows[limit - 1]) if len(rows) > limit else None


def _live(connection: Connection, uids: Sequence[str]) -> dict[str, dict[int, Trial]]:
    live: dict[str, dict[int, Trial]] = {}
    for some in _chunks(uids):
        statement = select(trial.c.job_uid, trial.c.number, trial.c.body).where(
            trial.c.job_uid.in_(some), trial.c.live == true()
        )
        for uid, number, body in connection.execute(statement.order_by(trial.c.job_uid, trial.c.number)):
            live.setdefault(uid, {})[number] = TRIAL.loads(body)
    return live


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + VARIABLES] for start in range(0, len(values), VARIABLES))


def _of_attempt(table: Table, uid: str, one: Trial) -> ColumnElement[bool]:
    return and_(table.c.job_uid == uid, table.c.number == one.number, table.c.attempt == one.attempt)


def _points(table: Table, uid: str, one: Trial, metric: str | None) -> Select[Any]:
    columns = ("seq", "number", "attempt", "metric", "epoch", "value", "mark", "at")
    statement = select(*(table.c[name] for name in columns)).where(_of_attempt(table, uid, one))
    return statement if metric is None else statement.where(table.c.metric == metric_in(metric))


def _curve_point(row: Sequence[Any], objective: bool) -> CurvePoint:
    number, attempt, metric, epoch, value, mark, at = row
    return CurvePoint(number, attempt, metric_out(metric), epoch, value_out(value, mark), at, objective)


def _last_points(uid: str, one: Trial) -> Select[Any]:
    """Of each metric but the objective: where it first appeared, its name, last value, mark and time."""
    seq = point.c.seq
    ends = (
        select(func.min(seq).label("first"), func.max(seq).label("last"))
        .where(_of_attempt(point, uid, one))
        .group_by(point.c.metric)
        .subquery()
    )
    last = and_(point.c.job_uid == uid, point.c.number == one.number, seq == ends.c.last)
    columns = (ends.c.first, point.c.metric, point.c.value, point.c.mark, point.c.at)
    return select(*columns).select_from(ends.join(point, last))


def _last_objective(uid: str, one: Trial) -> Select[Any]:
    """Of the objective: where it first appeared, its name, and when it last did."""
    columns = (func.min(curve.c.seq), curve.c.metric, func.max(curve.c.at))
    return select(*columns).where(_of_attempt(curve, uid, one)).group_by(curve.c.metric)


def _metric_value(row: Sequence[Any]) -> MetricValue:
    metric, value, mark, at = row
    return MetricValue(metric_out(metric), value_out(value, mark), at)
