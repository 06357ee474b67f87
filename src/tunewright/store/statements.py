"""Every statement that `SqlStore` runs, made once for the dialect of its database."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Dialect,
    Table,
    bindparam,
    delete,
    false,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.sql.dml import Insert

from tunewright.store.prepared import Prepared
from tunewright.store.tables import DELETED, curve, job, journal, lease, point, spec, tag, trial


def insert_into(table: Table, dialect: Dialect) -> Any:
    """An insert that knows `on_conflict_do_update`, which each dialect's own module brings."""
    return import_module(f"sqlalchemy.dialects.{dialect.name}").insert(table)


class Statements:
    """The store's statements by what they do."""

    def __init__(self, dialect: Dialect) -> None:
        def made(statement: Any) -> Prepared:
            return Prepared(statement, dialect)

        self.add_spec = made(spec.insert())
        self.add_job = made(job.insert())
        self.add_trial = made(trial.insert())
        self.add_point = made(point.insert())
        self.add_event = made(journal.insert())
        self.add_tag = made(_replacing(insert_into(tag, dialect), tag))
        self.put_curve = made(_replacing(insert_into(curve, dialect), curve, keep=("seq",)))
        self.inherit_tags = made(_inherit_tags())

        guarded = update(job).where(job.c.uid == bindparam("of"), job.c.version == bindparam("seen"))
        self.move_job = made(_setting(guarded, "updated", "version", "state"))
        # Status is in indexes: it is only written when it changes.
        settled = update(job).where(job.c.uid == bindparam("of"), job.c.status != bindparam("is_now"))
        held = update(job).where(job.c.uid == bindparam("of"), job.c.version == bindparam("known"))
        self.hold = made(held.values(version=job.c.version))
        self.settle_job = made(_setting(settled, "status", "running"))
        one = update(trial).where(trial.c.job_uid == bindparam("of"), trial.c.number == bindparam("this"))
        self.move_trial = made(_setting(one, "attempt", "modified", "body"))
        changed = one.where(trial.c.status != bindparam("is_now"))
        self.settle_trial = made(_setting(changed, "status"))
        self.end_trial = made(_setting(one, "status", "live", "attempt", "modified", "final", "body"))

        self.load = made(_load())
        self.find = made(
            select(job.c.uid).where(job.c.tuning == bindparam("tuning"), job.c.name_key == bindparam("key"))
        )
        self.spec = made(select(spec.c.body).where(spec.c.uid == bindparam("uid")))
        self.versions = made(
            select(job.c.uid, job.c.version).where(job.c.running == true()).order_by(job.c.created, job.c.uid)
        )
        self.journal = made(select(journal.c.body).where(journal.c.job_uid == bindparam("uid")).order_by(journal.c.seq))
        self.trial_of = made(select(trial.c.job_uid, trial.c.number).where(trial.c.name_key == bindparam("key")))
        self.tags = made(
            select(tag.c.key, tag.c.value)
            .where(tag.c.job_uid == bindparam("uid"), tag.c.number == bindparam("number"))
            .order_by(tag.c.key)
        )
        self.drop_tag = made(
            delete(tag).where(
                tag.c.job_uid == bindparam("uid"),
                tag.c.number == bindparam("number"),
                tag.c.key == bindparam("key"),
            )
        )
        self.lease = made(select(lease.c.body, lease.c.expires).where(lease.c.job_uid == bindparam("uid")))
        self.acquire = made(_acquire(dialect))
        self.release = made(
            delete(lease).where(lease.c.job_uid == bindparam("uid"), lease.c.owner == bindparam("owner"))
        )
        self._drops(made)

    def _drops(self, made: Callable[[Any], Prepared]) -> None:
        # In the order in which nothing refers to what is dropped.
        self.drop_job = [made(_of(table)) for table in (lease, journal)] + [made(_of_job(job, job.c.uid))]
        self.drop_own_tags = made(_of(tag).where(tag.c.number == bindparam("number")))
        self.drop_trials = [made(_of(table)) for table in (tag, point, curve, trial)]
        self.drop_trial = [made(_of(table).where(_numbered(table))) for table in (tag, point, curve)]
        ended = (trial.c.live == false()) & (trial.c.status != DELETED)
        self.drop_one = made(_of(trial).where(_numbered(trial), trial.c.live == false()))
        self.hide_ended = made(
            update(trial)
            .where(trial.c.job_uid == bindparam("uid"), _numbered(trial), ended)
            .values(status=DELETED, name_key=bindparam("freed"))
        )
        self.hidden = made(select(trial.c.number).where(trial.c.job_uid == bindparam("uid"), trial.c.status == DELETED))
        unused = ~select(trial.c.number).where(trial.c.job_uid == spec.c.uid).exists()
        self.drop_spec = made(_of_job(spec, spec.c.uid).where(unused))


def _setting(statement: Any, *columns: str) -> Any:
    return statement.values({column: bindparam(column) for column in columns})


def _replacing(statement: Any, table: Table, keep: tuple[str, ...] = ()) -> Any:
    """Insert, or overwrite the row with this primary key but for the columns to keep."""
    keys = [column.name for column in table.primary_key]
    written = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys and column.name not in keep
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=written)


def _inherit_tags() -> Insert:
    own = select(tag.c.job_uid, bindparam("number", type_=tag.c.number.type), tag.c.key, tag.c.value)
    source = own.where(tag.c.job_uid == bindparam("uid"), tag.c.number == literal(0))
    return tag.insert().from_select(["job_uid", "number", "key", "value"], source)


def _load() -> Any:
    """State, version and live trials of a job in one statement, so that they belong to one moment."""
    mine = (trial.c.job_uid == job.c.uid) & (trial.c.live == true())
    return (
        select(job.c.state, job.c.version, trial.c.number, trial.c.body)
        .select_from(job.outerjoin(trial, mine))
        .where(job.c.uid == bindparam("uid"))
        .order_by(trial.c.number)
    )


def _acquire(dialect: Dialect) -> Any:
    """One statement, so that of two that want a lease one gets it; no row is touched when it is refused."""
    statement = insert_into(lease, dialect)
    free: ColumnElement[bool] = or_(
        lease.c.expires <= bindparam("now"),
        lease.c.owner == bindparam("ours"),
        lease.c.owner == bindparam("dead"),
    )
    written = {name: statement.excluded[name] for name in ("owner", "body", "expires")}
    return statement.on_conflict_do_update(index_elements=["job_uid"], set_=written, where=free)


def _numbered(table: Table) -> ColumnElement[bool]:
    return table.c.number == bindparam("number")


def _of(table: Table) -> Delete:
    return _of_job(table, table.c.job_uid)


def _of_job(table: Table, column: ColumnElement[str]) -> Delete:
    return delete(table).where(column == bindparam("uid"))
