"""Every statement of the read models: made once for the shape of a query, run with what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Select, Table, and_, bindparam, func, select, true

from tunewright.core.reads import JobQuery, TrialQuery
from tunewright.store.paging import Order, unknown_sort
from tunewright.store.prepared import Prepared
from tunewright.store.rows import key_of
from tunewright.store.tables import DELETED, curve, job, journal, lease, point, spec, trial

SHAPES = 512
"""Shapes of queries whose statements are kept."""
_ESCAPE = "/"

_JOB_SORTS: dict[str, ColumnElement[Any]] = {
    "Name": job.c.name_key,
    "Status": job.c.status,
    "CreationTime": job.c.created,
}
_TRIAL_SORTS: dict[str, ColumnElement[Any]] = {
    "Name": trial.c.name_key,
    "Status": trial.c.status,
    "CreationTime": trial.c.created,
    "FinalObjectiveMetricValue": trial.c.final,
}
_JOB_COLUMNS = (job.c.uid, job.c.state, job.c.version, job.c.running, lease.c.body.label("owner"), lease.c.expires)
_TRIAL_COLUMNS = (trial.c.body, trial.c.status, trial.c.modified, trial.c.job_uid)


def job_order(query: JobQuery) -> Order:
    """Raises Invalid for a sort that is none."""
    if query.sort not in _JOB_SORTS:
        raise unknown_sort(query.sort, tuple(_JOB_SORTS))
    return Order(query.sort, _JOB_SORTS[query.sort], job.c.name_key, query.descending)


def trial_order(query: TrialQuery) -> Order:
    """Raises Invalid for a sort that is none."""
    if query.sort not in _TRIAL_SORTS:
        raise unknown_sort(query.sort, tuple(_TRIAL_SORTS))
    by_value = query.sort == "FinalObjectiveMetricValue"
    return Order(query.sort, _TRIAL_SORTS[query.sort], trial.c.name_key, query.descending, earliest=by_value)


class ReadStatements:
    """The read models' statements by what they ask for."""

    def __init__(self, dialect: Dialect) -> None:
        self._made = made = partial(Prepared, dialect=dialect)
        self._jobs = lru_cache(SHAPES)(self._make_jobs)
        self._trials = lru_cache(SHAPES)(self._make_trials)
        running = and_(job.c.running == true(), job.c.tuning == true())
        self.running = made(select(func.count()).select_from(job).where(running))
        mine = and_(job.c.tuning == bindparam("tuning"), job.c.name_key == bindparam("key"))
        of_job = trial.c.job_uid == bindparam("uid")
        self.job = made(_jobs(*_JOB_COLUMNS).where(mine))
        self.journal = made(select(journal.c.body).where(journal.c.job_uid == bindparam("uid")).order_by(journal.c.seq))
        self.trial = made(_trials(*_TRIAL_COLUMNS).where(trial.c.name_key == bindparam("key")))
        self.all_trials = {
            deleted: made(_trials(*_TRIAL_COLUMNS, deleted=deleted).where(of_job).order_by(trial.c.number))
            for deleted in (False, True)
        }
        self.spec = made(select(spec.c.body).where(spec.c.uid == bindparam("uid")))
        live = select(trial.c.number, trial.c.body).where(of_job, trial.c.live == true())
        self.live = made(live.order_by(trial.c.number))
        self.attempt = made(select(trial.c.job_uid, trial.c.body).where(trial.c.name_key == bindparam("key")))
        self.last_points = made(_last_points())
        self.last_objective = made(_last_objective())
        self.metric_names = made(select(point.c.metric).where(point.c.job_uid == bindparam("uid")).distinct())
        self.range_points = {table: made(_range_points(table)) for table in (curve, point)}
        self.points = {
            (table, named): made(_points(table, named=named)) for table in (curve, point) for named in (True, False)
        }

    def jobs(self, query: JobQuery, order: Order) -> tuple[Prepared, Mapping[str, object]]:
        asked = {**_asked(query), **({} if query.status is None else {"status": query.status.value})}
        place = {} if query.after is None else order.place(query.after)
        statement = self._jobs(query.sort, query.descending, query.after is not None, frozenset(asked))
        return statement, {**asked, **place, "tuning": query.tuning, "most": query.limit + 1}

    def _make_jobs(self, sort: str, descending: bool, going_on: bool, asked: frozenset[str]) -> Prepared:
        order = job_order(JobQuery(sort=sort, descending=descending))
        statement = _jobs(*_JOB_COLUMNS, *order.columns).where(job.c.tuning == bindparam("tuning"))
        if "status" in asked:
            statement = statement.where(job.c.status == bindparam("status"))
        statement = _filtered(statement, asked, job.c.name_key, job.c.created, job.c.updated)
        return self._made(order.page(statement, going_on=going_on))

    def trials(self, query: TrialQuery, order: Order) -> tuple[Prepared, Mapping[str, object]]:
        asked = _asked(query)
        if query.job_uid is not None:
            asked["uid"] = query.job_uid
        if query.status is not None and not query.page_first:
            asked["status"] = query.status.shown.value
        place = {} if query.after is None else order.place(query.after)
        statement = self._trials(query.sort, query.descending, query.after is not None, frozenset(asked))
        return statement, {**asked, **place, "most": query.limit + 1}

    def _make_trials(self, sort: str, descending: bool, going_on: bool, asked: frozenset[str]) -> Prepared:
        order = trial_order(TrialQuery(sort=sort, descending=descending))
        statement = _trials(*_TRIAL_COLUMNS, *order.columns)
        if "uid" in asked:
            statement = statement.where(trial.c.job_uid == bindparam("uid"))
        if order.by is trial.c.final:
            statement = statement.where(trial.c.final.is_not(None))
        if "status" in asked:
            statement = statement.where(trial.c.status == bindparam("status"))
        statement = _filtered(statement, asked, trial.c.name_key, trial.c.created, trial.c.modified)
        return self._made(order.page(statement, going_on=going_on))


def _jobs(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).select_from(job.outerjoin(lease, lease.c.job_uid == job.c.uid))


def _trials(*columns: ColumnElement[Any], deleted: bool = False) -> Select[Any]:
    found = select(*columns)
    return found if deleted else found.where(trial.c.status != DELETED)


def _asked(query: JobQuery | TrialQuery) -> dict[str, object]:
    """The filters that jobs and training jobs share, as far as they are used."""
    found: dict[str, object] = {}
    if query.name_contains:
        text = key_of(query.name_contains)
        for special in (_ESCAPE, "%", "_"):
            text = text.replace(special, _ESCAPE + special)
        found["contains"] = f"%{text}%"
    for name in ("created_after", "created_before", "modified_after", "modified_before"):
        if (bound := getattr(query, name)) is not None:
            found[name] = bound
    return found


def _filtered(
    statement: Select[Any],
    asked: frozenset[str],
    name: ColumnElement[str],
    created: ColumnElement[float],
    modified: ColumnElement[float],
) -> Select[Any]:
    if "contains" in asked:
        statement = statement.where(name.like(bindparam("contains"), escape=_ESCAPE))
    for word, column in (("created", created), ("modified", modified)):
        if f"{word}_after" in asked:
            statement = statement.where(column > bindparam(f"{word}_after"))
        if f"{word}_before" in asked:
            statement = statement.where(column < bindparam(f"{word}_before"))
    return statement


# ---- values of one attempt: `uid`, `number`, `attempt` ----


def _of_attempt(table: Table) -> ColumnElement[bool]:
    return and_(*(table.c[column] == bindparam(name) for column, name in _ATTEMPT.items()))


_ATTEMPT = {"job_uid": "uid", "number": "number", "attempt": "attempt"}
_POINT = ("seq", "number", "attempt", "metric", "epoch", "value", "mark", "at")


def _points(table: Table, *, named: bool) -> Select[Any]:
    statement = select(*(table.c[name] for name in _POINT)).where(_of_attempt(table))
    return statement.where(table.c.metric == bindparam("metric")) if named else statement


# ---- values of many trials of a job, each of the attempt that counts: `uid`, numbers from `low` to `high` ----


def _of_range(table: Table) -> ColumnElement[bool]:
    one = and_(*(trial.c[column] == table.c[column] for column in _ATTEMPT))
    return and_(table.c.job_uid == bindparam("uid"), table.c.number.between(bindparam("low"), bindparam("high")), one)


def _range_points(table: Table) -> Select[Any]:
    return select(*(table.c[name] for name in _POINT)).where(_of_range(table))


def _last_points() -> Select[Any]:
    """Of each metric but the objective: number, where it first appeared, its name, last value, mark and time."""
    seq = point.c.seq
    ends = (
        select(point.c.number, func.min(seq).label("first"), func.max(seq).label("last"))
        .where(_of_range(point))
        .group_by(point.c.number, point.c.metric)
        .subquery()
    )
    last = and_(point.c.job_uid == bindparam("uid"), point.c.number == ends.c.number, seq == ends.c.last)
    columns = (ends.c.number, ends.c.first, point.c.metric, point.c.value, point.c.mark, point.c.at)
    return select(*columns).select_from(ends.join(point, last))


def _last_objective() -> Select[Any]:
    """Of the objective: number, where it first appeared, its name, and when it last did."""
    columns = (curve.c.number, func.min(curve.c.seq), curve.c.metric, func.max(curve.c.at))
    return select(*columns).where(_of_range(curve)).group_by(curve.c.number, curve.c.metric)
